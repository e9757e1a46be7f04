"""Contract of message stores: content with parts other than text."""

from base64 import b64encode

import pytest

from gateway.contract.content import Audio, Content, File, Image, Part, Text
from gateway.contract.store import MessageStore
from tests.store.exchanges import answer, both, question

PIXEL = b64encode(b"\x89PNG\r\n\x1a\n\x00\xff").decode()
IMAGE = Image("image/png", PIXEL, detail="low")
PARTS: tuple[Part, ...] = (
    Text("Look:"),
    IMAGE,
    Audio("wav", b64encode(b"RIFF").decode()),
    File("notes.txt", "text/plain", b64encode("é".encode()).decode()),
    Text("What is it?"),
)


async def test_parts_come_back_as_they_were_given_beside_their_text(store: MessageStore) -> None:
    exchange = await store.begin(question(content=PARTS))

    asked, replied = await both(store, exchange.session_id)

    assert asked.parts == PARTS
    assert asked.content == "Look:\nWhat is it?"
    assert replied.parts == ()


async def test_text_alone_has_no_parts(store: MessageStore) -> None:
    exchange = await store.begin(question(content="Why?"))

    asked, _ = await both(store, exchange.session_id)

    assert (asked.content, asked.parts) == ("Why?", ())


@pytest.mark.parametrize("hostile", ["a\0b", "a\ud800b", "\udfff", "]}\"'\\\u2028"])
async def test_texts_and_names_that_no_database_takes_are_kept_like_other_texts(
    store: MessageStore, hostile: str
) -> None:
    file = File(hostile, "text/plain", "")
    exchange = await store.begin(question(content=(Text(hostile), file)))

    asked, _ = await both(store, exchange.session_id)

    kept = hostile.replace("\0", "\ufffd").replace("\ud800", "\ufffd").replace("\udfff", "\ufffd")
    assert asked.parts == (Text(kept), File(kept, "text/plain", ""))
    assert asked.content == kept


@pytest.mark.parametrize("content", [(IMAGE,), PARTS, "text"])
async def test_the_history_holds_parts_also_of_a_message_without_text(
    store: MessageStore, content: Content
) -> None:
    exchange = await store.begin(question(content=content))
    await store.finish(answer(exchange, "A pixel."))

    _, earlier = await store.history("local", exchange.session_id, max_chars=1000)

    assert [message.parts or message.content for message in earlier] == [content, "A pixel."]
