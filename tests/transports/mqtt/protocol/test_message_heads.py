"""Type and id of messages that cannot be decoded."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transports.mqtt.protocol.message_heads import SEARCHED_CHARS, Head, head_of

CHAT = Head("chat", "c1")


@pytest.mark.parametrize(
    ("payload", "head"),
    [
        (b'{"type":"chat","id":"c1"}', CHAT),
        (b'{"id":7,"type":"chat"}', Head("chat", 7)),
        (b' { "type" : "chat" , "id" : "c1" , "text" : "Hi', CHAT),
        (b'{"type":"chat","id":"c1","text":"' + b"x" * 500_000, CHAT),
        (b'{"type":"chat","id":"c1","more":' + b"[" * 100_000, CHAT),
        (b'{"type":"chat","id":"c1","text":"\xff"}', CHAT),
        (b'{"type":"chat","id":"c1","text":"\xff', CHAT),
        (rb'{"type":"chat","id":"c\u0031\"","text":', Head("chat", 'c1"')),
        (rb'{"type":"chat","text":"\",\"id\":\"c2\"","id":"c1",', CHAT),
        (b'{"more":{"id":"c2","type":"x"},"list":["id",{"id":"c3"}],"type":"chat","id":"c1",', CHAT),
        (b'{"x":"id","y":"c2","z', Head()),
        (b'{"id":7,"type":null,', Head()),
        (b'{"type":"chat","text":"' + b"x" * SEARCHED_CHARS + b'","id":"c1",', Head("chat")),
        (b"", Head()),
        (b"null", Head()),
        (b'["type","chat"]', Head()),
        (b"\x00", Head()),
        (rb'{"id":"\ud800",', Head()),
        (rb'{"id":"\x",', Head()),
    ],
)
def test_a_head_is_found_where_it_stands(payload: bytes, head: Head) -> None:
    assert head_of(payload) == head


@given(
    st.dictionaries(
        st.sampled_from(["text", "more", "x"]),
        st.recursive(st.text() | st.integers() | st.none(), lambda inner: st.lists(inner, max_size=3)),
    ),
    st.text(min_size=1),
    st.data(),
)
def test_a_head_that_comes_first_is_found_however_the_message_is_cut(
    more: dict[str, Any], id: str, data: st.DataObject
) -> None:
    begun = json.dumps({"type": "chat", "id": id})[:-1]
    whole = json.dumps({"type": "chat", "id": id, **more})
    cut = data.draw(st.integers(len(begun), len(whole)))
    expected = Head("chat", id)
    assert head_of(whole[:cut].encode()) == expected


@given(st.binary(max_size=200))
def test_any_bytes_have_a_head(payload: bytes) -> None:
    assert isinstance(head_of(payload), Head)
