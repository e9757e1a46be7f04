"""Finds grammars and patterns that would crash or stall a model server, before they are sent.

Source: llama.cpp, grammars/README.md for the syntax; its parser recurses for each parenthesis, and its
sampler keeps one stack for each way in which the text so far can be read.
"""

import re
from collections.abc import Iterator

MAX_DEPTH = 200
MAX_RULES = 2_000
MAX_TOKENS = 20_000
MAX_REPEAT = 2_000
"""llama.cpp's own limit."""
MAX_ELEMENTS = 100_000
"""Of a grammar with its repetitions written out."""
MAX_BEGINNINGS = 5_000
"""Ways in which one rule can begin; each costs time at every token."""
MAX_OPTIONAL_RUN = 100
"""Neighbours that may all be left out; what they cost grows with the cube of their number."""
MAX_PATTERN_CHARS = 2_000
MAX_PATTERN_DEPTH = 50

_TOKENS = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)
    |(?P<rule>[A-Za-z0-9_-]+\s*::=)
    |(?P<name>[A-Za-z0-9_-]+)
    |(?P<end>"[^"\\]*(?:\\.[^"\\]*)*"|\[[^\]\\]*(?:\\.[^\]\\]*)*\]|!?<[^>]*>|\.)
    |(?P<repeat>\{\s*(?P<least>\d*)\s*(?P<comma>,?)\s*(?P<most>\d*)\s*\})
    |(?P<sign>[()|*+?])
    |(?P<other>[^\s\w"\[<.{()|*+?#-]+|.)""",
    re.VERBOSE | re.DOTALL,
)


_PATTERN_TOKENS = re.compile(r"\\.|\[\^?\]?(?:[^\]\\]|\\.)*\]|\(\?[:=!<]*|\{(\d*),?(\d*)\}|.", re.DOTALL)


class _Item:
    """One element of a sequence. ref: the rule or group it stands for, None for characters."""

    __slots__ = ("may_be_absent", "ref", "weight")

    def __init__(self, ref: str | None, weight: int) -> None:
        self.ref = ref
        self.weight = weight
        self.may_be_absent = False


_Alternatives = list[list[_Item]]


def grammar_problem(text: str) -> str | None:
    """Why no model server should get this GBNF grammar; None if nothing speaks against it.

    It does not judge the syntax: what it does not know it passes over, and the server refuses it.
    """
    rules: dict[str, _Alternatives] = {"": [[]]}
    open_groups: list[tuple[str, _Alternatives]] = []
    name, alternatives = "", rules[""]
    named = 0
    for number, token in enumerate(_TOKENS.finditer(text)):
        if number > MAX_TOKENS:
            return f"has more than {MAX_TOKENS} names, texts and signs"
        kind = token.lastgroup if token.lastgroup not in ("least", "comma", "most") else "repeat"
        sign = token[0]
        if kind == "rule":
            named += 1
            open_groups.clear()
            name = sign[:-3].rstrip()
            alternatives = rules[name] = [[]]
        elif kind in ("name", "end"):
            alternatives[-1].append(_Item(sign if kind == "name" else None, 1))
        elif sign == "(":
            open_groups.append((name, alternatives))
            name = f"({token.start()}"
            alternatives = rules[name] = [[]]
        elif sign == ")" and open_groups:
            group, weight = name, _weight(alternatives)
            name, alternatives = open_groups.pop()
            alternatives[-1].append(_Item(group, weight))
        elif sign == "|":
            alternatives.append([])
        elif sign in ("*", "+", "?") and alternatives[-1]:
            alternatives[-1][-1].may_be_absent |= sign != "+"
        elif kind == "repeat" and alternatives[-1]:
            least, most = token["least"], token["most"]
            if problem := _repeat_problem(least, most):
                return problem
            item = alternatives[-1][-1]
            item.may_be_absent |= int(least or 0) == 0
            item.weight *= max(1, int(least or 0), int(most or 0))
        if len(open_groups) > MAX_DEPTH:
            return f"nests more than {MAX_DEPTH} parentheses"
        if named > MAX_RULES:
            return f"has more than {MAX_RULES} rules"
    if sum(map(_weight, rules.values())) > MAX_ELEMENTS:
        return f"has more than {MAX_ELEMENTS} elements when its repetitions are written out"
    return _ambiguity(rules)


def pattern_problem(pattern: str) -> str | None:
    """Why no model server should get this regular expression; None if nothing speaks against it."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"has more than {MAX_PATTERN_CHARS} characters"
    depth = 0
    repeatable = False
    for token in _PATTERN_TOKENS.finditer(pattern):
        sign = token[0]
        problem = None
        if sign.startswith("(") and len(sign) <= 4:
            depth += 1
            if depth > MAX_PATTERN_DEPTH:
                return f"nests more than {MAX_PATTERN_DEPTH} parentheses"
        elif sign == ")":
            depth -= 1
        elif token[1] is not None:
            problem = _repeat_problem(token[1], token[2] if "," in sign else "")
        if problem is not None:
            return problem
        if (sign in ("*", "+", "?") or token[1] is not None) and not repeatable:
            return "repeats nothing"
        repeatable = not (sign.startswith("(") or sign in ("|", "^"))
    return None


def _repeat_problem(least: str, most: str) -> str | None:
    if len(least) > 9 or len(most) > 9 or max(int(least or 0), int(most or 0)) > MAX_REPEAT:
        return f"repeats something more than {MAX_REPEAT} times"
    if least and most and int(least) > int(most):
        return f"repeats something at least {least} and at most {most} times"
    return None


def _weight(alternatives: _Alternatives) -> int:
    return sum(item.weight for sequence in alternatives for item in sequence)


def _ambiguity(rules: dict[str, _Alternatives]) -> str | None:
    """What makes a sampler slow: rules that can begin in very many ways, or with themselves."""
    absent = _may_be_absent(rules)
    for sequences in rules.values():
        for sequence in sequences:
            run = 0
            for item in sequence:
                run = run + 1 if item.may_be_absent or item.ref in absent else 0
                if run > MAX_OPTIONAL_RUN:
                    return f"has more than {MAX_OPTIONAL_RUN} neighbours that may all be left out"
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
                if beginnings[name] > MAX_BEGINNINGS:
                    return f"can begin in more than {MAX_BEGINNINGS} ways"
            elif ref in on_the_way:
                return "has a rule that begins with itself"
            else:
                on_the_way.add(ref)
                walk.append((ref, iter(_first_refs(rules[ref], absent))))
    return None


def _may_be_absent(rules: dict[str, _Alternatives]) -> set[str]:
    """The rules that match the empty text."""
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


def _firsts(alternatives: _Alternatives, absent: set[str]) -> Iterator[_Item]:
    """The elements that may come first."""
    for sequence in alternatives:
        for item in sequence:
            yield item
            if not item.may_be_absent and item.ref not in absent:
                break


def _first_refs(alternatives: _Alternatives, absent: set[str]) -> Iterator[str]:
    return (item.ref for item in _firsts(alternatives, absent) if item.ref is not None)
