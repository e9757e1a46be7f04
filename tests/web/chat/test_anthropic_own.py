"""Tools without a schema, system messages between turns and contexts of documents, as only Anthropic has."""

from pathlib import Path
from typing import Any

import pytest

from gateway.contract.content import File, Image, Text, parts_of
from tests.web.chat.test_loose_requests import HI, asked
from tests.web.chat.test_model_apis import PIXEL
from tests.web.gateway_server import served
from transports.scripted import tokens

PATH = "/v1/messages"
CALL = {"type": "tool_use", "id": "c1", "name": "bash", "input": {"command": "ls"}}
RESULT = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "a"}]}
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def system(text: str) -> dict[str, str]:
    return {"role": "system", "content": text}


def reminder(text: str) -> str:
    return f"<system-reminder>\n{text}\n</system-reminder>"


@pytest.mark.parametrize(
    ("tool", "fields"),
    [
        ({"type": "bash_20250124", "name": "bash"}, {"command", "restart"}),
        ({"type": "bash_20241022", "name": "bash", "cache_control": {"type": "ephemeral"}}, {"command"}),
        (
            {"type": "memory_20250818", "name": "memory"},
            {"command", "path", "file_text", "insert_line", "insert_text", "old_str", "new_str", "new_path"},
        ),
        ({"type": "custom", "name": "mine", "input_schema": {"properties": {"x": {}}}}, {"x"}),
        # A schema of the client's own describes the tool better.
        ({"type": "bash_20250124", "name": "sh", "input_schema": {"properties": {"line": {}}}}, {"line"}),
    ],
)
async def test_a_tool_that_the_client_runs_becomes_a_function(
    tmp_path: Path, tool: dict[str, Any], fields: set[str]
) -> None:
    request = await asked(tmp_path, PATH, {"messages": [HI], "tools": [tool]})
    (told,) = request.sampling.tools or ()
    assert told["type"] == "function"
    assert told["function"]["name"] == tool["name"]
    assert fields <= set(told["function"]["parameters"]["properties"])


@pytest.mark.parametrize(
    "kind",
    ["text_editor_20250728", "computer_20250124", "web_search_20250305", "code_execution_20250825", "bash_1"],
)
async def test_other_tools_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    tool = {"type": kind} | ({"name": "t"} if kind != "bash_1" else {})
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        response = await gateway.http.post(PATH, json={"messages": [HI], "tools": [tool]})
    assert response.status_code == 400
    message = response.json()["error"]["message"]
    assert "tools.0.type" in message
    assert kind in message
    assert "input_schema" in message


@pytest.mark.parametrize(
    ("messages", "turns"),
    [
        ([user("Hi"), system("Be kind.")], [("user", f"Hi\n\n{reminder('Be kind.')}")]),
        (
            [user("Hi"), system("A"), system("B"), user("So?")],
            [("user", f"Hi\n\n{reminder('A')}\n\n{reminder('B')}\n\nSo?")],
        ),
        (
            [user("Hi"), {"role": "assistant", "content": "Yes."}, system("A"), user("So?")],
            [("user", "Hi"), ("assistant", "Yes."), ("user", f"{reminder('A')}\n\nSo?")],
        ),
        (
            [user("Hi"), {"role": "assistant", "content": [CALL]}, RESULT, system("A")],
            [("user", "Hi"), ("assistant", ""), ("tool", "a"), ("user", reminder("A"))],
        ),
        ([system("A"), system("B"), user("Hi")], [("system", "A\n\nB"), ("user", "Hi")]),
        ([user("Hi"), user("So?")], [("user", "Hi"), ("user", "So?")]),
    ],
)
async def test_a_later_system_message_is_text_of_the_user(
    tmp_path: Path, messages: list[dict[str, Any]], turns: list[tuple[str, str]]
) -> None:
    request = await asked(tmp_path, PATH, {"messages": messages})
    assert [(turn.role, turn.content) for turn in request.turns] == turns


async def test_it_stands_beside_images(tmp_path: Path) -> None:
    body = {"messages": [{"role": "user", "content": [IMAGE]}, system("Be kind."), user("So?")]}
    (turn,) = (await asked(tmp_path, PATH, body)).turns
    assert parts_of(turn.content) == (
        Image("image/png", PIXEL),
        Text(reminder("Be kind.")),
        Text("So?"),
    )


async def test_the_session_shows_the_question_without_it(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        await gateway.http.post(PATH, json={"messages": [user("Hi"), system("Be kind.")]})
        question, _ = await gateway.messages(1)
    assert question["content"] == "Hi"


async def test_a_system_message_behind_a_tools_result_asks_nothing_new(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("So.")) as gateway:
        rounds = [user("Hi"), {"role": "assistant", "content": [CALL]}, RESULT, system("Be kind.")]
        for messages in (rounds[:1], rounds):
            response = await gateway.http.post(PATH, json={"messages": messages})
            assert response.status_code == 200, response.text
        kept = await gateway.messages(1)
    assert [message["role"] for message in kept] == ["user", "assistant", "assistant"]


@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "It rains."},
        {"type": "content", "content": "It rains."},
    ],
)
async def test_a_documents_context_stands_before_it(tmp_path: Path, source: dict[str, Any]) -> None:
    document = {"type": "document", "title": "Weather", "context": "From May.", "source": source}
    body = {"messages": [{"role": "user", "content": [document]}]}
    (turn,) = (await asked(tmp_path, PATH, body)).turns
    context, file = parts_of(turn.content)
    assert context == Text("From May.")
    assert isinstance(file, File)
    assert (file.name, file.text) == ("Weather", "It rains.")


async def test_an_empty_context_is_none(tmp_path: Path) -> None:
    document = {"type": "document", "context": "", "source": {"type": "text", "data": "It rains."}}
    body = {"messages": [{"role": "user", "content": [document]}]}
    (turn,) = (await asked(tmp_path, PATH, body)).turns
    assert len(parts_of(turn.content)) == 1
