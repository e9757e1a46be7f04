"""A row of messages.parts that somebody has changed by hand costs its attachments, and nothing else."""

import json
import sqlite3
from pathlib import Path

import pytest

from tests.web.chat.test_parts import FILE, PARTS
from tests.web.gateway_server import served
from transports.scripted import tokens

RUBBISH = [
    b"",
    b"rubbish",
    b"\xff\xfe",
    b"5",
    b"[5]",
    b"[" * 100_000,
    b'[{"type":"text","text":5}]',
    b'[{"type":"file"}]',
    b'[{"type":"image_url","image_url":{"url":null}}]',
    json.dumps([{**FILE, "file": {"filename": "a", "file_data": "data:text/plain;base64,a"}}]).encode(),
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=lambda rubbish: rubbish[:20])
async def test_its_text_is_shown_and_asked_with(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rubbish: bytes
) -> None:
    async with served(tmp_path, lambda _: tokens("A dot.")) as gateway:
        await gateway.events({"content": PARTS})
        with sqlite3.connect(tmp_path / "gateway.db") as database:
            database.execute("UPDATE messages SET parts = ? WHERE id = 1", [rubbish])
        database.close()
        question, reply = await gateway.messages()
        exported = await gateway.http.get("/api/chatbot/sessions/1/export")
        assert (await gateway.events({"content": "And?", "session_id": 1}))[-1]["type"] == "done"
    assert (question["content"], question["parts"], reply["content"]) == ("What\nis it?", None, "A dot.")
    assert exported.status_code == 200
    turns = gateway.transport.seen_requests[1].turns
    assert [turn.content for turn in turns] == ["What\nis it?", "A dot.", "And?"]
    logged = [record.getMessage() for record in caplog.records if record.name == "sluice.store"]
    assert logged
    assert all("the parts of message 1 cannot be read, only its text: " in line for line in logged)
