"""Conversations whose beginning was deleted, as retention does with old messages."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.store.sql_store import SqlStore
from tests.web.chat.test_responses import PATH, made
from tests.web.event_source import kinds
from tests.web.gateway_server import Served, served, unified_events
from transports.scripted import tokens

MESSAGES = "/api/chatbot/messages"


async def forget(gateway: Served, *, before: datetime | None = None, keep: int = 0) -> None:
    store = gateway.assembled.gateway.store
    assert isinstance(store, SqlStore)
    assert (await store.deletions.forget(before=before, keep=keep)).messages > 0


@pytest.mark.parametrize("is_named", [True, False])
async def test_responses_go_on_with_what_is_left_of_their_conversation(
    tmp_path: Path, is_named: bool
) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        last: dict[str, Any] = {}
        for said in ("One", "Two", "Three", "Four"):
            if said == "Four":
                await forget(gateway, keep=2)
            before = {"previous_response_id": last["id"]} if last else {}
            last = await made(gateway, input=said, **({"conversation": "c"} if is_named else before))
        asked = gateway.transport.seen_requests[-1]
    assert [turn.content for turn in asked.turns] == ["Three", "Hello", "Four"]


async def test_a_response_goes_on_without_what_came_before_a_deleted_one(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        _, second, _ = [await made(gateway, conversation="c", input=said) for said in "123"]
        await gateway.http.delete(f"{PATH}/{second['id']}")
        await made(gateway, conversation="c", input="4")
        asked = gateway.transport.seen_requests[-1]
        refused = await gateway.http.post(PATH, json={"input": "5", "previous_response_id": second["id"]})
    assert [turn.content for turn in asked.turns] == ["3", "Hello", "4"]
    assert refused.status_code == 404


async def test_a_reply_without_its_question_is_read_and_not_made_again(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: tokens("Hello")) as gateway:
        http = gateway.http
        await gateway.events({"content": "Hi"})
        moment = datetime.now(UTC)
        told = await gateway.events({}, f"{MESSAGES}/1/regenerate")
        await forget(gateway, before=moment)
        stream_id, reply_id = told[0]["stream_id"], told[0]["assistant_message_id"]
        gateway.assembled.gateway.runs.ended.forget(stream_id)
        again = await http.post(f"{MESSAGES}/{reply_id}/regenerate", json={})
        items = await http.get(f"{PATH}/resp_{stream_id}/input_items")
        async with http.stream("GET", f"/messages/stream/{stream_id}") as response:
            read = [event async for event in unified_events(response)]
    assert (again.status_code, again.json()["detail"]) == (404, "The question of this reply was deleted.")
    assert (items.status_code, items.json()["data"]) == (200, [])
    assert kinds(read) == ["metadata", "chunk", "done"]
    assert read[0]["user_message_id"] == 0
