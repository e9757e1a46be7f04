"""Finds grammars and regular expressions that would crash or stall a model server.

Source: llama.cpp, grammars/README.md for the syntax; its parser recurses for each parenthesis. Costs of
sampling: grammar_ambiguity.py.
"""

import re

from gateway.contract.grammar_ambiguity import Bounds, Item, Rules, ambiguity

MAX_DEPTH = 200
MAX_RULES = 2_000
MAX_TOKENS = 20_000
MAX_REPEAT = 2_000
"""llama.cpp's own limit."""
MAX_ELEMENTS = 100_000
"""Maximum number of elements of a grammar with its repetitions written out."""
MAX_PATTERN_CHARS = 2_000
MAX_PATTERN_DEPTH = 50
MAX_BEGINNINGS = 5_000

GRAMMAR_BOUNDS = Bounds(beginnings=MAX_BEGINNINGS, optional_run=100, alike_run=8, nested_loops=4)
PATTERN_BOUNDS = Bounds(beginnings=MAX_BEGINNINGS, optional_run=20, alike_run=6, nested_loops=2)
"""Lower than GRAMMAR_BOUNDS: llama.cpp turns each repetition of a pattern into a rule, which costs more."""

# Both expressions read a text about once: they do not backtrack, and what is not closed extends to the end.
_TOKENS = re.compile(
    r"""(?P<skip>\s+|\#[^\n]*)
    |(?P<rule>[A-Za-z0-9_-]++\s*+::=)
    |(?P<name>[A-Za-z0-9_-]+)
    |(?P<text>"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z))
    |(?P<any>\[[^\]\\]*+(?:\\.[^\]\\]*+)*+(?:\]|\\?\Z)|!?<[^>]*+>?|\.)
    |(?P<repeat>\{\s*+(?P<least>\d*+)\s*+(?P<comma>,?)\s*+(?P<most>\d*+)\s*+\})
    |(?P<sign>[()|*+?])
    |(?P<other>[^\s\w"\[<.{()|*+?#-]+|.)""",
    re.VERBOSE | re.DOTALL,
)

_PATTERN_TOKENS = re.compile(
    r"""\\.
    |\[\^?+\]?+(?:[^\]\\]++|\\.)*+\]|\[\^?+\]|\[\^?+(?:[^\]\\]++|\\.)*+\\?\Z
    |\(\?[:=!<]*|\{(\d*+)(,?)(\d*+)\}|.""",
    re.VERBOSE | re.DOTALL,
)
_SIGNS: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}


def grammar_problem(text: str) -> str | None:
    """Return why this GBNF grammar must not be sent, as the end of a sentence; None if it may.

    The syntax is not checked: unknown text is skipped, and the model server refuses it.
    """
    rules = Rules()
    named = 0
    for number, token in enumerate(_TOKENS.finditer(text)):
        if number > MAX_TOKENS:
            return f"has more than {MAX_TOKENS} names, texts and signs"
        kind = token.lastgroup if token.lastgroup not in ("least", "comma", "most") else "repeat"
        sign = token[0]
        if kind == "rule":
            named += 1
            rules.begin_rule(sign[:-3].rstrip())
        elif kind == "name":
            rules.add(Item(sign, sign))
        elif kind == "text" and len(sign) > 2:
            rules.add(Item(None, sign[:3] if sign[1] == "\\" else sign[:2]))
        elif kind in ("any", "text"):
            rules.add(Item(None, None))
        elif kind == "repeat":
            if problem := _repeat(rules, token["least"], token["comma"], token["most"]):
                return problem
        elif kind == "sign":
            _take_sign(rules, sign, token.start())
        if rules.depth > MAX_DEPTH:
            return f"nests more than {MAX_DEPTH} parentheses"
        if named > MAX_RULES:
            return f"has more than {MAX_RULES} rules"
    if rules.weight > MAX_ELEMENTS:
        return f"has more than {MAX_ELEMENTS} elements when its repetitions are written out"
    return ambiguity(rules.rules, GRAMMAR_BOUNDS)


def pattern_problem(pattern: str) -> str | None:
    """Return why this regular expression must not be sent, as the end of a sentence; None if it may."""
    if len(pattern) > MAX_PATTERN_CHARS:
        return f"has more than {MAX_PATTERN_CHARS} characters"
    rules = Rules()
    repeatable = False
    for token in _PATTERN_TOKENS.finditer(pattern):
        sign = token[0]
        repeats = sign in _SIGNS or token[1] is not None
        opens = sign.startswith("(")
        if repeats and not repeatable:
            return "repeats nothing"
        if token[1] is not None:
            if problem := _repeat(rules, token[1], token[2], token[3]):
                return problem
        elif repeats or opens or sign in (")", "|"):
            _take_sign(rules, sign[:1], token.start())
        elif sign not in ("^", "$"):
            rules.add(Item(None, None if sign == "." or len(sign) > 1 else sign))
        if rules.depth > MAX_PATTERN_DEPTH:
            return f"nests more than {MAX_PATTERN_DEPTH} parentheses"
        repeatable = not (opens or sign in ("|", "^"))
    if rules.weight > MAX_ELEMENTS:
        return f"has more than {MAX_ELEMENTS} elements when its repetitions are written out"
    return ambiguity(rules.rules, PATTERN_BOUNDS)


def _take_sign(rules: Rules, sign: str, at: int) -> None:
    if sign == "(":
        rules.begin_group(f"({at}")
    elif sign == ")":
        rules.end_group()
    elif sign == "|":
        rules.begin_alternative()
    elif (last := rules.last) is not None:
        last.repeat(*_SIGNS[sign])


def _repeat(rules: Rules, least: str, comma: str, most: str) -> str | None:
    if len(least) > 9 or len(most) > 9 or max(int(least or 0), int(most or 0)) > MAX_REPEAT:
        return f"repeats something more than {MAX_REPEAT} times"
    if least and most and int(least) > int(most):
        return f"repeats something at least {least} and at most {most} times"
    if (last := rules.last) is not None:
        at_least = int(least or 0)
        last.repeat(at_least, int(most) if most else None if comma else at_least)
    return None
