"""Settings that no model server should get, by the field that is wrong."""

# ruff: noqa: E501  - a case is a line

from typing import Any

import pytest

from gateway.contract.errors import Unprocessable
from gateway.contract.model_limits import check_request, check_sampling
from gateway.contract.requests import ChatRequest, Sampling, Turn

MANY = {f"p{number}": {"type": "string"} for number in range(501)}
DEADLY = {"type": "string", "minLength": 50, "maxLength": 3}
NESTED_GRAMMAR = "root ::= " + "(" * 30_000 + '"a"' + ")" * 30_000


def in_schemas(depth: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def doubled(definitions: int, keyword: str) -> dict[str, Any]:
    """Each definition stands for the next one twice."""
    named: dict[str, Any] = {f"a{definitions}": {"type": "string"}}
    for number in range(definitions):
        named[f"a{number}"] = {keyword: [{"$ref": f"#/$defs/a{number + 1}"}] * 2}
    return {"$defs": named, "$ref": "#/$defs/a0"}


def chained(definitions: int) -> dict[str, Any]:
    named = {f"a{number}": {"$ref": f"#/$defs/a{number + 1}"} for number in range(definitions)}
    return {"$defs": named, "$ref": "#/$defs/a0"}


def circle(keyword: str) -> dict[str, Any]:
    return {"$defs": {"a": {keyword: [{"type": "string"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"}


TREE = {"properties": {"left": {"$ref": "#/$defs/n"}, "right": {"anyOf": [{"$ref": "#/$defs/n"}, {}]}}}
HIDDEN = {"properties": {"parameters": {"$ref": "#/$defs/a0"}}, **doubled(20, "oneOf")}


def inside(schema: dict[str, Any], roots: int) -> dict[str, Any]:
    for _ in range(roots):
        schema = {"schema": schema}
    return schema


def with_decoys(definitions: int) -> dict[str, Any]:
    """Its references have targets in the inner `schema` too, which are no more than a string."""
    path = "#/properties/schema/defs"
    defs: dict[str, Any] = {f"a{definitions}": {"type": "string"}}
    for number in range(definitions):
        defs[f"a{number}"] = {"anyOf": [{"$ref": f"{path}/a{number + 1}"}] * 2}
    decoys = {"schema": {"defs": {name: {"type": "string"} for name in defs}}}
    return {"properties": {"schema": {"defs": defs, "properties": decoys}}}


def tool(parameters: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", "parameters": parameters}}


@pytest.mark.parametrize(
    ("field", "settings"),
    [
        ("options.grammar", {"options": {"grammar": NESTED_GRAMMAR}}),
        ("options.guided_grammar", {"options": {"guided_grammar": NESTED_GRAMMAR}}),
        ("options.structured_outputs", {"options": {"structured_outputs": {"grammar": NESTED_GRAMMAR}}}),
        ("options.json_schema", {"options": {"json_schema": in_schemas(70)}}),
        ("options.json_schema", {"options": {"json_schema": {"anyOf": [DEADLY]}}}),
        ("options.json_schema", {"options": {"json_schema": {"pattern": "^?a"}}}),
        ("options.json_schema", {"options": {"json_schema": {"minItems": 100_000}}}),
        ("options.json_schema", {"options": {"json_schema": {"properties": MANY}}}),
        ("options.json_schema", {"options": {"json_schema": doubled(20, "anyOf")}}),
        ("options.json_schema", {"options": {"json_schema": {"enum": list(range(5_001))}}}),
        ("options.json_schema", {"options": {"json_schema": {"items": {"type": ["string", "number"] * 2_501}}}}),
        ("options.json_schema", {"options": {"json_schema": chained(2_000)}}),
        ("options.json_schema", {"options": {"json_schema": HIDDEN}}),
        ("options.json_schema", {"options": {"json_schema": {"anyOf": [{"pattern": "a" * 1_000}] * 66}}}),
        ("options.guided_json", {"options": {"guided_json": doubled(20, "allOf")}}),
        ("options.guided_json", {"options": {"guided_json": with_decoys(20)}}),
        ("options.structured_outputs", {"options": {"structured_outputs": {"json": doubled(20, "oneOf")}}}),
        ("response_format", {"response_format": {"type": "json_schema", "json_schema": {"schema": doubled(20, "anyOf")}}}),
        ("response_format", {"response_format": {"type": "json_object", "schema": doubled(20, "allOf")}}),
        ("tools", {"tools": [tool(doubled(20, "anyOf"))]}),
        ("options.chat_template_kwargs", {"options": {"chat_template_kwargs": in_schemas(70)}}),
        ("options.whatever", {"options": {"whatever": [list(range(200))] * 101}}),
        ("response_format", {"response_format": {"type": "json_schema", "json_schema": {"schema": DEADLY}}}),
        ("response_format", {"response_format": {"type": "json_object", "schema": in_schemas(70)}}),
        ("tools", {"tools": [tool(in_schemas(70))]}),
        ("tools", {"tools": [tool({"properties": {"a": DEADLY}})]}),
        ("tool_choice", {"tool_choice": in_schemas(70)}),
        ("stop", {"stop": ["x"] * 65}),
        ("stop", {"stop": "x" * 1_001}),
        ("options.logit_bias", {"options": {"logit_bias": {str(token): 1 for token in range(5_001)}}}),
        ("options.logit_bias", {"options": {"logit_bias": [[token, 1] for token in range(5_001)]}}),
        ("options.samplers", {"options": {"samplers": ["top_k"] * 257}}),
        ("options.n", {"options": {"n": 2}}),
        ("options.n_cmpl", {"options": {"n_cmpl": 1e5}}),
        ("options.n_probs", {"options": {"n_probs": 10**9}}),
        ("options.dry_penalty_last_n", {"options": {"dry_penalty_last_n": 2**31 - 1}}),
    ],
)  # fmt: skip
def test_the_field_that_is_wrong_is_named(field: str, settings: dict[str, Any]) -> None:
    with pytest.raises(Unprocessable) as refused:
        check_sampling(Sampling(**settings))
    assert list(refused.value.fields) == [field]
    assert len(str(refused.value)) < 200


def test_a_dialect_that_has_no_options_names_the_field_alone() -> None:
    with pytest.raises(Unprocessable) as refused:
        check_sampling(Sampling(options={"grammar": NESTED_GRAMMAR}), options="")
    assert list(refused.value.fields) == ["grammar"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"stop": ["\n"], "tools": [tool(in_schemas(20))] * 100, "tool_choice": "auto"},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": in_schemas(25)}}},
        {"options": {"json_schema": {"minLength": 3, "maxLength": 100_000, "pattern": "^a+$"}}},
        {"options": {"json_schema": {"properties": {"pattern": {"type": "string"}, "minLength": {}}}}},
        {"options": {"json_schema": {"enum": [f"word {number}" for number in range(5_000)]}}},
        {"options": {"json_schema": {"$defs": {"n": TREE}, "$ref": "#/$defs/n"}}},
        {"options": {"json_schema": circle("anyOf")}},
        {"options": {"json_schema": circle("allOf")}},
        {"options": {"json_schema": doubled(8, "anyOf")}},
        {"options": {"json_schema": {"$ref": "https://example.org/schema.json"}}},
        {"response_format": inside({"$ref": "#/" + "a/" * 4_000_000}, 60)},
        {"response_format": inside({"allOf": [{"$ref": "#/" + "a/" * 60}] * 4_000}, 60)},
        {"tools": [tool({"properties": {"a": {"pattern": "^[0-9a-f]{32}$"}}})] * 512},
        {"tools": [tool({"$defs": {"a~/b": {}}, "properties": {"x": {"$ref": "#/$defs/a~0~1b"}}})]},
        {"options": {"logit_bias": [[token, -100] for token in range(300)], "top_k": 40, "n": 1}},
        {"options": {"repeat_last_n": -1, "n_probs": 10, "ignore_eos": True, "lora": [{"id": 1}]}},
    ],
)  # fmt: skip
def test_what_people_use_is_let_through(settings: dict[str, Any]) -> None:
    check_sampling(Sampling(**settings))


def test_tool_calls_of_earlier_turns_are_looked_at_too() -> None:
    turns = [Turn("user", "hi"), Turn("assistant", "", tool_calls=[in_schemas(70)])]
    with pytest.raises(Unprocessable) as refused:
        check_request(ChatRequest("f" * 32, turns))
    assert list(refused.value.fields) == ["messages.1.tool_calls"]
