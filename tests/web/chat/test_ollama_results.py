"""Results of tools in Ollama's API answer the right calls, with the ids that clients give to some of them."""

from pathlib import Path
from typing import Any

import pytest

from tests.web.chat.test_loose_requests import HI, asked


def call(tool: str, id: str | None = None) -> dict[str, Any]:
    named = {} if id is None else {"id": id}
    return {**named, "function": {"name": tool, "arguments": {}}}


def result(tool: str | None = None, id: str | None = None) -> dict[str, Any]:
    given = {"tool_name": tool, "tool_call_id": id}
    return {"role": "tool", "content": "4"} | {name: said for name, said in given.items() if said is not None}


@pytest.mark.parametrize(
    ("calls", "results", "answered"),
    [
        ([call("f")], [result(id="own")], [0]),
        ([call("f")], [result("f", "own")], [0]),
        ([call("f", "a")], [result("f", "own")], [0]),
        ([call("f"), call("g")], [result("g", "own"), result("f", "too")], [1, 0]),
        ([call("f"), call("f")], [result("f", "own"), result("f", "too")], [0, 1]),
        ([call("f", "a"), call("f", "b")], [result("f", "b"), result("f", "a")], [1, 0]),
        ([call("f", "a"), call("g", "b")], [result(id="b"), result(id="a")], [1, 0]),
        ([call("f", "a"), call("g", "b")], [result(id="b"), result()], [1, 0]),
        ([call("f", "a"), call("g")], [result("g"), result("f", "a")], [1, 0]),
        (
            [call("f", "a"), call("f", "b"), call("f")],
            [result("f", "b"), result("f"), result("f")],
            [1, 0, 2],
        ),
        ([call("f", "a"), call("g", "b")], [result("g", "a"), result("f", "b")], [0, 1]),
    ],
)
async def test_a_result_answers_the_call_of_its_id_else_of_its_tool_else_the_next(
    tmp_path: Path, calls: list[dict[str, Any]], results: list[dict[str, Any]], answered: list[int]
) -> None:
    body = {"model": "tiny", "messages": [HI, {"role": "assistant", "tool_calls": calls}, *results]}
    _, called, *answers = (await asked(tmp_path, "/api/chat", body)).turns
    ids = [made["id"] for made in called.tool_calls]
    assert [turn.tool_call_id for turn in answers] == [ids[at] for at in answered]


async def test_a_result_without_an_open_call_keeps_its_id(tmp_path: Path) -> None:
    body = {"model": "tiny", "messages": [HI, result("f", "own"), result("f")]}
    _, first, second = (await asked(tmp_path, "/api/chat", body)).turns
    assert (first.tool_call_id, second.tool_call_id) == ("own", "call_2")
