"""Broken variants of a valid request: wrong types, lost and doubled keys, odd JSON, messages out of order."""

import json
import random
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

Path = tuple[str | int, ...]

_RAW = {
    "@deep list": "[" * 5000 + "]" * 5000,
    "@deep object": '{"a":' * 5000 + "1" + "}" * 5000,
    "@unclosed": "[[[[",
    "@infinite": "1e999",
    "@nan": "NaN",
    "@long": "9" * 500,
    "@fraction": "0." + "3" * 5000,
    "@half a pair": '"\\ud800"',
    "@other half": '"a\\udfffb"',
    "@bad escape": '"\\x"',
    "@control": '"\x01"',
    "@nothing": "",
}
"""JSON text in place of these strings, which Python's encoder does not write."""

HOSTILE: list[Any] = [
    *(None, True, False, 0, -1, 1, 1.5, 2**31, 2**63, -(2**63) - 1, 2**70, 1e308, -0.0),
    *("", " ", "\0", "a\0b", "x" * 3000, "\u2028", "user", "data:image/png;base64,!", "file:///etc/passwd"),
    *([], {}, [None], [[]], [{}], {"": ""}, {"type": "text"}, {"type": None}, {"type": ["text"]}),
    *({"role": "user", "content": "Hi"}, [{"role": "user", "content": "Hi"}], {"id": {"id": []}}, [0] * 600),
    *({f"k{n}": n for n in range(200)}, ["x"] * 3000),
    *_RAW,
]
ROLES = ["user", "assistant", "system", "tool", "developer", "function", "reasoning", "", "USER", None, 7]
LISTS = ("messages", "input")
"""Keys of a conversation's messages."""


def paths(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of every value inside, the root excluded."""
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    for key, inner in items:
        yield (*path, key)
        yield from paths(inner, (*path, key))


def mutants(body: dict[str, Any], count: int, seed: int) -> Iterator[bytes]:
    """Yield `count` broken variants, the same for the same seed; each value of the body is broken in some."""
    chance = random.Random(seed)
    places = list(paths(body))
    for number in range(count):
        mutant = deepcopy(body)
        mutate = chance.choice(_MUTATIONS)
        mutate(mutant, places[number % len(places)], chance)
        if chance.random() < 0.3:  # a second fault
            _replaced(mutant, chance.choice(list(paths(mutant)) or [("a",)]), chance)
        text = json.dumps(mutant)
        for name, raw in _RAW.items():
            text = text.replace(json.dumps(name), raw)
        yield text.replace("@doubled ", "").encode("utf-8", "surrogatepass")


def _parent(body: Any, path: Path) -> Any:
    for key in path[:-1]:
        body = body[key]
    return body


def _replaced(body: Any, path: Path, chance: random.Random) -> None:
    parent = _parent(body, path)
    parent[path[-1]] = deepcopy(chance.choice(HOSTILE))


def _lost(body: Any, path: Path, _: random.Random) -> None:
    del _parent(body, path)[path[-1]]


def _wrapped(body: Any, path: Path, chance: random.Random) -> None:
    parent, key = _parent(body, path), path[-1]
    parent[key] = chance.choice(
        [[parent[key]], {str(key): parent[key]}, {"text": parent[key]}, [[parent[key]]]]
    )


def _doubled(body: Any, path: Path, chance: random.Random) -> None:
    parent, key = _parent(body, path), path[-1]
    if isinstance(parent, dict):
        parent[f"@doubled {key}"] = deepcopy(chance.choice(HOSTILE))
    else:
        parent.insert(int(key), deepcopy(parent[int(key)]))


def _moved(body: Any, path: Path, chance: random.Random) -> None:
    """Put the value of one place at another one."""
    source, key = _parent(body, path), path[-1]
    value = deepcopy(source[key])
    target = chance.choice(list(paths(body)))
    _parent(body, target)[target[-1]] = value


def _in_odd_order(body: Any, _: Path, chance: random.Random) -> None:
    for name in LISTS:
        messages = body.get(name)
        if not isinstance(messages, list) or not messages:
            continue
        messages = [deepcopy(chance.choice(messages)) for _ in range(chance.choice([0, 1, 2, 5, 12]))]
        for message in messages:
            if isinstance(message, dict) and chance.random() < 0.5:
                message["role"] = chance.choice(ROLES)
        body[name] = messages * chance.choice([1, 1, 1, 1, 500])


_MUTATIONS: list[Callable[[Any, Path, random.Random], None]] = [
    *(_replaced, _replaced, _replaced, _lost, _wrapped, _doubled, _moved, _in_odd_order)
]
