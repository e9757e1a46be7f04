"""Refuses request fields that are so large or so nested that they could stall or crash a model server."""

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.contract.grammar_limits import MAX_REPEAT, grammar_problem, pattern_problem
from gateway.contract.misfits import misfit
from gateway.contract.requests import ChatRequest, Sampling
from gateway.contract.schema_limits import schema_problem

MAX_JSON_DEPTH = 64
MAX_JSON_VALUES = 20_000
MAX_PROPERTIES = 500
MAX_STOPS = 64
MAX_STOP_CHARS = 1_000
MAX_LIST = 256
MAX_BIASES = 5_000
MAX_LOOK_BACK = 1_000_000
MAX_TEXT_CHARS = 64 * 1024
"""Maximum length of all grammars and patterns of one field together: the check takes time too."""

_MOST = {
    "n": 1,
    "n_cmpl": 1,
    "best_of": 1,
    "n_probs": 100,
    "top_logprobs": 100,
    "min_keep": 100_000,
    "repeat_last_n": MAX_LOOK_BACK,
    "dry_penalty_last_n": MAX_LOOK_BACK,
    "dry_allowed_length": MAX_LOOK_BACK,
}
_GRAMMARS = frozenset({"grammar", "guided_grammar"})
_PATTERNS = frozenset({"pattern", "regex", "guided_regex"})
_TEXTS = _GRAMMARS | _PATTERNS
_RANGES = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minContains", "maxContains"),
)


def check_request(request: ChatRequest) -> None:
    """Apply check_sampling, and check the tool calls of all turns. Raises Unprocessable."""
    check_sampling(request.sampling)
    for at, turn in enumerate(request.turns):
        if turn.tool_calls and (problem := _json_problem("tool_calls", turn.tool_calls)):
            raise misfit(f"messages.{at}.tool_calls", problem)


def check_sampling(sampling: Sampling, options: str = "options.") -> None:
    """Raise Unprocessable, which names the field, for values that could stall or crash a model server.

    options: prefix of the names of options in the error, as the request spells them.
    """
    for field, problem in _problems(sampling, options):
        raise misfit(field, problem)


def _problems(sampling: Sampling, options: str) -> Iterator[tuple[str, str]]:
    stops = [sampling.stop] if isinstance(sampling.stop, str) else sampling.stop or ()
    if len(stops) > MAX_STOPS or max(map(len, stops), default=0) > MAX_STOP_CHARS:
        yield "stop", f"must be at most {MAX_STOPS} texts of at most {MAX_STOP_CHARS} characters"
    for name in ("tools", "tool_choice", "response_format"):
        value = getattr(sampling, name)
        if value is not None and (problem := _json_problem(name, value)):
            yield name, problem
    for name, value in sampling.options.items():
        if problem := _option_problem(name, value):
            yield options + name, problem


def _option_problem(name: str, value: Any) -> str | None:
    most = _MOST.get(name)
    if most is not None and isinstance(value, int | float) and value > most:
        return f"must be at most {most}"
    longest = MAX_BIASES if name == "logit_bias" else MAX_LIST
    if isinstance(value, list) and len(value) > longest:
        return f"must have at most {longest} items"
    if name == "logit_bias" and isinstance(value, dict) and len(value) > longest:
        return f"must have at most {longest} items"
    if name == "stop":
        return None if isinstance(value, str) else _json_problem(name, value)
    return _json_problem(name, value)


def _json_problem(name: str, value: Any) -> str | None:
    """Return the problem of a field's value or of a schema, pattern or grammar in it; None if it has none."""
    if isinstance(value, str):
        return _text_problem(name, value)
    level: list[Any] = [value]
    count = chars = 0
    for _ in range(MAX_JSON_DEPTH):
        deeper: list[Any] = []
        for one in level:
            if isinstance(one, Mapping):
                chars += sum(len(text) for _, text in _texts(one))
                if chars > MAX_TEXT_CHARS:
                    return f"must have at most {MAX_TEXT_CHARS} characters of grammars and patterns"
                if problem := _object_problem(one):
                    return problem
                deeper += one.values()
            elif isinstance(one, list | tuple):
                deeper += one
        if not deeper:
            return schema_problem(value)
        count += len(deeper)
        if count > MAX_JSON_VALUES:
            return f"must have at most {MAX_JSON_VALUES} values"
        level = deeper
    return f"must not be nested deeper than {MAX_JSON_DEPTH} levels"


def _object_problem(value: Mapping[str, Any]) -> str | None:
    properties = value.get("properties")
    if isinstance(properties, Mapping) and len(properties) > MAX_PROPERTIES:
        return f"must have at most {MAX_PROPERTIES} properties in one object"
    for least_name, most_name in _RANGES:
        least, most = value.get(least_name), value.get(most_name)
        if not isinstance(least, int | float):
            continue
        if least > MAX_REPEAT:
            return f"{least_name} must be at most {MAX_REPEAT}"
        if isinstance(most, int | float) and least > most:
            return f"{least_name} must not be greater than {most_name}"
    for name, text in _texts(value):
        if problem := _text_problem(name, text):
            return problem
    return None


def _texts(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the grammars and patterns of an object, by their names."""
    for name in _TEXTS & value.keys():
        if isinstance(text := value[name], str):
            yield name, text


def _text_problem(name: str, text: str) -> str | None:
    if name in _GRAMMARS and (problem := grammar_problem(text)):
        return f"the grammar {problem}"
    if name in _PATTERNS and (problem := pattern_problem(text)):
        return f"the pattern {problem}"
    return None
