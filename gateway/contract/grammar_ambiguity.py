"""Measures how ambiguous a grammar is: ambiguity makes a model server's sampler slow.

Source: llama.cpp keeps one stack for each possible parse of the text so far, and tries every token of its
vocabulary on each stack, character by character, without merging stacks that become equal.
"""

from collections.abc import Iterator
from dataclasses import dataclass


class Item:
    """One element of a sequence.

    Attributes:
        ref: name of the rule or group that it refers to; None for characters.
        key: equal for elements that can begin with the same character; None if it can begin with any.
        copies: number of times that its repetition is written out.
        loops: number of repetition signs without a fixed count that apply to it.
    """

    __slots__ = ("copies", "key", "loops", "may_be_absent", "ref", "weight")

    def __init__(self, ref: str | None, key: str | None, weight: int = 1) -> None:
        self.ref = ref
        self.key = key
        self.weight = weight
        self.copies = 1
        self.loops = 0
        self.may_be_absent = False

    def repeat(self, least: int, most: int | None) -> None:
        """Apply a repetition sign. `most` None means unbounded."""
        self.may_be_absent |= least == 0
        self.loops += most not in (1, least)
        self.copies *= max(1, least, most or 0)
        self.weight *= max(1, least, most or 0)


Alternatives = list[list[Item]]


class Rules:
    """The rules of a grammar or of a regular expression, built while its text is read from left to right."""

    def __init__(self) -> None:
        self.rules: dict[str, Alternatives] = {"": [[]]}
        self._name = ""
        self._open: list[str] = []

    @property
    def depth(self) -> int:
        return len(self._open)

    @property
    def weight(self) -> int:
        """Number of elements, with repetitions written out."""
        return sum(map(_weight, self.rules.values()))

    @property
    def last(self) -> Item | None:
        """The element that a repetition sign at this place applies to; None if there is none."""
        sequence = self.rules[self._name][-1]
        return sequence[-1] if sequence else None

    def begin_rule(self, name: str) -> None:
        self._open.clear()
        self._name = name
        self.rules[name] = [[]]

    def begin_group(self, name: str) -> None:
        self._open.append(self._name)
        self._name = name
        self.rules[name] = [[]]

    def end_group(self) -> None:
        if self._open:
            group, self._name = self._name, self._open.pop()
            self.add(Item(group, group, _weight(self.rules[group])))

    def begin_alternative(self) -> None:
        self.rules[self._name].append([])

    def add(self, item: Item) -> None:
        self.rules[self._name][-1].append(item)


@dataclass(frozen=True, slots=True)
class Bounds:
    """Maximum values for the properties of a grammar that make sampling slow.

    Attributes:
        beginnings: number of ways in which one rule can begin.
        optional_run: number of adjacent elements that may all be absent.
        alike_run: number of such elements that can begin with the same character; the cost grows as a power
            of this number.
        nested_loops: depth of repetitions that contain only a repetition; each level may double the parses.
    """

    beginnings: int
    optional_run: int
    alike_run: int
    nested_loops: int


def ambiguity(rules: dict[str, Alternatives], bounds: Bounds) -> str | None:
    """Return the first bound that the rules exceed, as the end of a sentence; None if they exceed none."""
    absent = _may_be_absent(rules)
    return _beginnings(rules, absent, bounds.beginnings) or _runs_and_loops(rules, absent, bounds)


def _weight(alternatives: Alternatives) -> int:
    return sum(item.weight for sequence in alternatives for item in sequence)


def _beginnings(rules: dict[str, Alternatives], absent: set[str], most: int) -> str | None:
    beginnings: dict[str | None, int] = {}
    for start in rules:
        walk: list[tuple[str, Iterator[str]]] = []
        if start not in beginnings:
            walk.append((start, iter(_first_refs(rules[start], absent))))
        on_the_way = {start}
        while walk:
            name, refs = walk[-1]
            ref = next((ref for ref in refs if ref in rules and ref not in beginnings), None)
            if ref is None:
                walk.pop()
                on_the_way.discard(name)
                firsts = _firsts(rules[name], absent)
                beginnings[name] = sum(beginnings.get(item.ref, 1) for item in firsts)
                if beginnings[name] > most:
                    return f"can begin in more than {most} ways"
            elif ref in on_the_way:
                return "has a rule that begins with itself"
            else:
                on_the_way.add(ref)
                walk.append((ref, iter(_first_refs(rules[ref], absent))))
    return None


def _runs_and_loops(rules: dict[str, Alternatives], absent: set[str], bounds: Bounds) -> str | None:
    keys: dict[str, str | None] = {}  # by rule, as Item.key
    runs: dict[str, int] = {}  # by rule: the longest run of neighbours that begin alike
    loops: dict[str, int] = {}
    for name in _inner_first(rules):
        firsts = [_key(item, keys) for item in _firsts(rules[name], absent)]
        keys[name] = None if None in firsts else name
        runs[name], loops[name] = 1, 0
        for sequence in rules[name]:
            mandatory = [item for item in sequence if not item.may_be_absent and item.ref not in absent]
            alone = mandatory if len(mandatory) == 1 else sequence if not mandatory else []
            for item in alone:
                loops[name] = max(loops[name], item.loops + loops.get(item.ref or "", 0))
            for run in _runs(sequence, absent):
                if sum(item.copies if item.ref in absent else 1 for item in run) > bounds.optional_run:
                    return f"has more than {bounds.optional_run} neighbours that may all be left out"
                runs[name] = max(runs[name], _alike(run, absent, keys, runs))
        if runs[name] > bounds.alike_run:
            return f"has more than {bounds.alike_run} neighbours that begin alike and may all be left out"
        if loops[name] > bounds.nested_loops:
            return f"repeats repetitions more than {bounds.nested_loops} deep"
    return None


def _key(item: Item, keys: dict[str, str | None]) -> str | None:
    return item.key if item.ref is None else keys.get(item.ref, item.ref)


def _runs(sequence: list[Item], absent: set[str]) -> Iterator[list[Item]]:
    """Yield each maximal run of adjacent elements that may all be absent."""
    run: list[Item] = []
    for item in sequence:
        if item.may_be_absent or item.ref in absent:
            run.append(item)
        elif run:
            yield run
            run = []
    if run:
        yield run


def _alike(run: list[Item], absent: set[str], keys: dict[str, str | None], runs: dict[str, int]) -> int:
    """Return the largest number of elements of a run that can begin with the same character."""
    alike: dict[str | None, int] = {None: 0}
    for item in run:
        # A rule that matches the empty text counts as all its copies and all elements of its own run.
        count = item.copies * runs.get(item.ref or "", 1) if item.ref in absent else 1
        key = _key(item, keys)
        alike[key] = alike.get(key, 0) + count
    any_character = alike.pop(None)
    return any_character + max(alike.values(), default=0)


def _inner_first(rules: dict[str, Alternatives]) -> Iterator[str]:
    """Yield the names of the rules, referenced rules before those that refer to them, except in cycles."""
    seen: set[str] = set()
    for start in rules:
        walk = [] if start in seen else [(start, _refs(rules[start]))]
        seen.add(start)
        while walk:
            name, refs = walk[-1]
            ref = next((ref for ref in refs if ref in rules and ref not in seen), None)
            if ref is None:
                walk.pop()
                yield name
            else:
                seen.add(ref)
                walk.append((ref, _refs(rules[ref])))


def _refs(alternatives: Alternatives) -> Iterator[str]:
    return (item.ref for sequence in alternatives for item in sequence if item.ref is not None)


def _may_be_absent(rules: dict[str, Alternatives]) -> set[str]:
    """Return the names of the rules that match the empty text."""
    users: dict[str, list[tuple[str, int]]] = {}
    missing: dict[tuple[str, int], int] = {}
    ready: list[str] = []
    for name, sequences in rules.items():
        for number, sequence in enumerate(sequences):
            needed = [item.ref for item in sequence if not item.may_be_absent]
            missing[name, number] = len(needed)
            if not needed:
                ready.append(name)
            for ref in needed:
                if ref is not None:
                    users.setdefault(ref, []).append((name, number))
    absent: set[str] = set()
    while ready:
        name = ready.pop()
        if name in absent:
            continue
        absent.add(name)
        for user in users.get(name, ()):
            missing[user] -= 1
            if not missing[user]:
                ready.append(user[0])
    return absent


def _firsts(alternatives: Alternatives, absent: set[str]) -> Iterator[Item]:
    """Yield the elements that a match can begin with."""
    for sequence in alternatives:
        for item in sequence:
            yield item
            if not item.may_be_absent and item.ref not in absent:
                break


def _first_refs(alternatives: Alternatives, absent: set[str]) -> Iterator[str]:
    return (item.ref for item in _firsts(alternatives, absent) if item.ref is not None)
