import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import errors
from gateway.contract.events import Usage
from gateway.contract.requests import ChatRequest, Sampling, Turn
from transports.mqtt.protocol import device_frames, frame_codec, frames

unicode_text = st.text(st.characters(codec="utf-8"))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
TYPES = ["status", "request", "cancel", "accept", "chunk", "reasoning", "tool_call", "progress", "alive"]
TYPES += ["end", "reply", "error", "chat", "nonsense"]
FIELDS = ["id", "seq", "text", "v", "state", "reply_to", "messages", "params", "usage", "length", "call"]
FIELDS += ["phase", "deadline_s", "models", "max", "busy", "heartbeat_s", "incarnation", "queue", "code"]
almost_frames = st.builds(
    lambda type_, fields: json.dumps({"type": type_, **fields}).encode(),
    st.sampled_from(TYPES),
    st.dictionaries(st.sampled_from(FIELDS), json_values),
)

Decode = Callable[[bytes], object]
every_decoder = pytest.mark.parametrize(
    "decode", [frame_codec.decode_reply, frame_codec.decode_inbox, frame_codec.decode_status]
)


@every_decoder
@given(payload=st.binary() | almost_frames)
def test_rubbish_is_a_protocol_violation_and_nothing_else(decode: Decode, payload: bytes) -> None:
    with suppress(errors.ProtocolViolation):
        decode(payload)


@every_decoder
@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000,
        b'{"type":"chunk","id":"a","seq":1,"text":"x","z":' + b'{"a":' * 50_000,
        b'{"type":"request","id":"a","reply_to":"r","messages":[],"params":{"options":' + b"[" * 50_000,
        b'{"type":"chunk","id":"a","seq":1,"text":"\xff"}',
        b'{"type":"chunk","id":"a","seq":' + b"9" * 5_000 + b',"text":"x"}',
        b'{"type":"chunk","id":"a","seq":-1,"text":"x"}',
        b'{"type":"chunk","id":"a","seq":true,"text":"x"}',
        b'{"type":"chunk","id":"' + b"a" * 200 + b'","seq":1,"text":"x"}',
        b'{"type":["chunk"]}',
        b'{"type":"none"}',
        b'{"state":"ready","id":"a","seq":1,"text":"x","reply_to":"r","messages":[]}',
        b'{"type":"status","state":"sleeping"}',
        b'{"type":"status","state":"ready","v":2}',
        b'{"type":"status","state":"ready","max":1.5}',
        b'{"type":"status","state":"ready","max":1e300}',
        b'{"type":"status","state":"ready","max":"4"}',
        b'{"max":4.0,"state":"ready"}',
        b'{"type":"chunk","id":"a","seq":1,"text":"x"}\x00{}',
        b'{"type":"status","state":"ready","max":0}',
        b'{"type":"status","state":"ready","max":-1}',
        b'{"type":"status","state":"ready","max":NaN}',
        b'{"type":"status","state":"ready","busy":%d}' % 2**64,
        b'{"type":"status","state":"ready","incarnation":%d}' % 10**300,
        b'{"type":"status","state":"ready","heartbeat_s":0}',
        b'{"type":"status","state":"ready","heartbeat_s":1e300}',
        b'{"type":"status","state":"ready","models":["%s"]}' % (b"x" * 257),
        b'{"type":"status","state":"ready","models":[%s"x"]}' % (b'"x",' * 256),
        b'{"type":"end","id":"a","seq":%d}' % 2**63,
        b'{"type":"request","v":2,"id":"a","reply_to":"r","messages":[]}',
        b'{"type":"request","id":"a","reply_to":"r","messages":[{"role":"root","content":"x"}]}',
        b'{"type":"request","id":"a","reply_to":"r","messages":[],"deadline_s":1e400}',
        b'{"type":"request","id":"a","reply_to":"r","messages":[],"idle_s":0}',
        b"null",
        b"\x00\x01",
    ],
    ids=lambda payload: payload[:40].decode("ascii", "replace"),
)
def test_hostile_payloads_are_refused(decode: Decode, payload: bytes) -> None:
    with pytest.raises(errors.ProtocolViolation):
        decode(payload)


@given(text=unicode_text, seq=st.integers(0, 2**40))
def test_a_chunk_survives_the_wire(text: str, seq: int) -> None:
    decoded = frame_codec.decode_reply(frame_codec.encode(frames.ChunkFrame("a", seq, text)))
    assert decoded == frames.ChunkFrame("a", seq, text)


def test_progress_says_only_what_is_known() -> None:
    queued = frame_codec.encode(frames.ProgressFrame("a", 1, "queued", position=0))
    prompt = frame_codec.encode(frames.ProgressFrame("a", 1, "prompt", processed=0, total=2))
    assert queued == b'{"type":"progress","id":"a","seq":1,"phase":"queued","position":0}'
    assert prompt == b'{"type":"progress","id":"a","seq":1,"phase":"prompt","processed":0,"total":2}'


def test_unknown_fields_are_ignored() -> None:
    payload = b'{"new":[{}],"type":"chunk","id":"a","seq":1,"text":"x","more":null}'
    assert frame_codec.decode_reply(payload) == frames.ChunkFrame("a", 1, "x")


def test_the_smallest_status_promises_little() -> None:
    status = frame_codec.decode_status(b'{"type":"status","state":"ready"}')
    assert (status.heartbeat_s, status.accept_s, status.max, status.stream) == (None, None, 1, False)


def test_whole_numbers_of_a_status_may_be_written_as_floats() -> None:
    """Languages with one kind of number write them so, such as Lua."""
    said = (
        b'{"type":"status","state":"ready","v":1.0,"max":4.0,"busy":0.0,"incarnation":7e0,"heartbeat_s":5.0}'
    )
    status = frame_codec.decode_status(said)
    assert (status.max, status.busy, status.incarnation, status.heartbeat_s) == (4, 0, 7, 5)


@pytest.mark.parametrize(("before", "behind"), [(b"\xef\xbb\xbf", b""), (b"", b"\0"), (b"", b"\n\0\0")])
def test_a_text_of_c_or_of_windows_is_a_frame(before: bytes, behind: bytes) -> None:
    def framed(payload: bytes) -> bytes:
        return before + payload + behind

    status = frame_codec.decode_status(framed(b'{"type":"status","state":"ready"}'))
    end = frame_codec.decode_reply(framed(b'{"type":"end","id":"a","seq":1}'))
    forget = frame_codec.decode_inbox(framed(b'{"type":"forget","id":"a"}'))
    chat = device_frames.decode_chat(framed(b'{"type":"chat","id":"a","text":"x"}'), 999)
    cancel = device_frames.decode_cancel(framed(b'{"type":"cancel","id":"a"}'))
    assert (status.state, end.id, forget.id, chat.id, cancel.id) == ("ready", "a", "a", "a", "a")
    assert isinstance(chat, device_frames.Chat)


@pytest.mark.parametrize(("before", "behind"), [(b"", b""), (b"\xef\xbb\xbf", b""), (b"", b"\0")])
def test_a_frame_of_an_unknown_type_is_known_as_such(before: bytes, behind: bytes) -> None:
    """It ends no reply, whatever stands around it."""
    assert frame_codec.is_unlisted(before + b'{"type":"new","id":"a"}' + behind)
    assert not frame_codec.is_unlisted(before + b'{"type":"chunk","id":"a"}' + behind)


@pytest.mark.parametrize("field", [b'"name":"a\\ud800"', b'"models":["a\\ud800"]', b'"accepts":["a\\ud800"]'])
def test_a_status_has_no_halves_of_characters(field: bytes) -> None:
    """Half of a surrogate pair cannot be encoded again: it is replaced."""
    status = frame_codec.decode_status(b'{"type":"status","state":"ready",%s}' % field)
    assert "a\ufffd" in [status.name, *status.models, *status.accepts]
    frame_codec.encode(status)


def test_only_the_id_of_a_devices_cancel_counts() -> None:
    said = b'{"type":"cancel","id":"a","reason":null,"epoch":-1}'
    assert device_frames.decode_cancel(said).id == "a"


def test_an_emptied_status_means_lost() -> None:
    assert frame_codec.decode_status(b"").state == "lost"


def test_a_request_arrives_as_it_was_asked() -> None:
    request = ChatRequest(
        id="b" * 32,
        turns=[
            Turn("system", "be brief"),
            Turn("assistant", "", tool_calls=[{"id": "1", "type": "function"}], reasoning_content="hm"),
            Turn("tool", "4", tool_call_id="1", name="add"),
            Turn("user", "\u2028 🙂"),
        ],
        sampling=Sampling(temperature=0.5, stop=["\n"], tools=[{"type": "function"}], options={"top_k": 3}),
        model="tiny",
        deadline_s=7,
        session="user1-abc",
        trace="00-11-22-01",
    )
    payload = frame_codec.encode_request(request, attempt_id="c", reply_to="r", deadline_s=6.5, idle_s=3)
    decoded = frame_codec.decode_inbox(payload)
    assert isinstance(decoded, frames.RequestFrame)
    assert (decoded.reply_to, decoded.idle_s, decoded.stream) == ("r", 3, True)
    asked = decoded.as_chat_request()
    assert (asked.id, asked.deadline_s) == ("c", 6.5)
    assert [turn.as_json() for turn in asked.turns] == [turn.as_json() for turn in request.turns]
    assert asked.sampling == request.sampling
    assert (asked.model, asked.session, asked.trace) == (request.model, request.session, request.trace)


def test_text_that_is_no_unicode_is_refused_before_it_is_sent() -> None:
    with pytest.raises(errors.Unprocessable):
        frame_codec.encode(frames.ChunkFrame("a", 1, "\ud800"))
    with pytest.raises(errors.Unprocessable):
        frame_codec.encode_request(
            ChatRequest("a", [Turn("user", "\ud800")]), attempt_id="a", reply_to="r", deadline_s=1, idle_s=1
        )


def test_usage_is_never_invented() -> None:
    assert frames.Tokens().as_usage() is None
    assert frames.Tokens(prompt_tokens=1).as_usage() is None
    assert frames.Tokens(1, 2).as_usage() == Usage(1, 2, 3)
