"""The transport over HTTP: images, sound and files."""

import asyncio
from base64 import b64decode, b64encode

import httpx
import pytest

from gateway.contract.content import Audio, File, Image, Text
from gateway.contract.errors import (
    UnsupportedContent,
    UpstreamFailed,
)
from gateway.contract.requests import ChatRequest, Turn
from tests.reading import events_of
from tests.transports.llama.model_server import Server, transport_to

IMAGE = Image("image/png", b64encode(bytes(range(256))).decode())
AUDIO = Audio("wav", b64encode(b"RIFF" + bytes(range(256))).decode())


@pytest.fixture
def server() -> Server:
    return Server()


async def test_images_and_sound_arrive_intact_in_openais_form(server: Server) -> None:
    said = (Text("This?"), IMAGE, AUDIO, File("a.txt", "text/plain", "SGkK"))
    await events_of(transport_to(server), ChatRequest("0" * 32, [Turn("user", said)]))

    text, image, audio, file = server.body()["messages"][0]["content"]
    assert text == {"type": "text", "text": "This?"}
    assert image["type"] == "image_url"
    head, _, encoded = image["image_url"]["url"].partition(",")
    assert (head, b64decode(encoded)) == ("data:image/png;base64", bytes(range(256)))
    assert (audio["type"], audio["input_audio"]["format"]) == ("input_audio", "wav")
    assert b64decode(audio["input_audio"]["data"]) == b"RIFF" + bytes(range(256))
    assert file == {"type": "text", "text": "--- File: a.txt ---\nHi\n"}


@pytest.mark.parametrize(
    ("modalities", "refused"),
    [
        ({"vision": False, "audio": False}, "images or sound"),
        ({"vision": True, "audio": False}, "sound"),
        ({"vision": False}, "images"),
        ({"vision": True, "audio": True}, None),
        ("rubbish", None),
        (None, None),
    ],
)
async def test_content_is_refused_by_name_where_props_say_so(
    server: Server, modalities: object, refused: str | None
) -> None:
    server.answers["/props"] = httpx.Response(200, json={"modalities": modalities, "total_slots": 1})
    transport = transport_to(server)
    request = ChatRequest("0" * 32, [Turn("user", (IMAGE, AUDIO))])
    transport.abilities.check(request)  # nothing is known yet

    assert await transport.total_slots() == 1

    if refused is None:
        transport.abilities.check(request)
    else:
        with pytest.raises(UnsupportedContent, match=f"accepts no {refused}:"):
            transport.abilities.check(request)
    transport.abilities.check(ChatRequest("0" * 32, [Turn("user", "Hi")]))


async def test_a_server_without_props_gets_everything(server: Server) -> None:
    transport = transport_to(server)
    await transport.total_slots()
    transport.abilities.check(ChatRequest("0" * 32, [Turn("user", (IMAGE, AUDIO))]))


async def test_modalities_are_learned_in_the_background(server: Server) -> None:
    props = {"modalities": {"vision": False, "audio": False}}
    server.answers |= {"/health": httpx.Response(200), "/props": httpx.Response(200, json=props)}
    known = asyncio.Event()

    async def pause(_: float) -> None:
        known.set()
        await asyncio.Event().wait()

    transport = transport_to(server, sleep=pause)
    async with asyncio.timeout(60), transport.running():
        await known.wait()
    assert transport.abilities.accepts() == frozenset()


@pytest.mark.parametrize("sees", [True, False])
async def test_a_failure_with_an_image_is_explained_by_what_the_model_takes(
    server: Server, sees: bool
) -> None:
    """llama.cpp answers 500 where its model is blind. Its /props were not asked for before."""
    server.answers["/v1/chat/completions"] = httpx.Response(500, json={"error": {"message": "no images"}})
    server.answers["/props"] = httpx.Response(200, json={"modalities": {"vision": sees}, "total_slots": 1})
    with pytest.raises(UpstreamFailed if sees else UnsupportedContent):
        await events_of(transport_to(server), ChatRequest("0" * 32, [Turn("user", (IMAGE,))]))
