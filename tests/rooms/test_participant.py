"""The events of one connection: what they do, and how they are answered."""

from typing import Any

import pytest

from gateway.contract.authors import Author
from gateway.contract.errors import Unauthorized
from gateway.contract.limits import Quota
from gateway.core.key_ring import Caller
from gateway.core.rate_limits import Allowance
from gateway.core.room_missed import CHARS_PER_COST, MAX_MISSED, MAX_MISSED_CHARS
from gateway.rooms import event_rates
from gateway.rooms.client_events import FORMS, MAX_EVENT_BYTES, MAX_METADATA_BYTES
from gateway.rooms.event_rates import MAX_ROOMS, MISSED_AT_ONCE, MISSED_PER_S, PATIENCE_S, Flood
from gateway.rooms.participant import Participant
from tests.rooms.lobby import Lobby

ANNA, BEN, CARL = (
    Caller(name, allowance=Allowance(Quota(name, 100), Quota(name, 100))) for name in ("anna", "ben", "carl")
)


async def refused(participant: Participant, name: str, data: Any) -> str:
    """Send an event that must be refused, and give the code of its error."""
    answer = await participant.take(name, data)
    assert set(answer) == {"error"}
    assert answer["error"]["message"]
    return str(answer["error"]["code"])


async def test_a_join_is_answered_with_the_people_of_the_room() -> None:
    lobby = Lobby()
    anna, outlet = lobby.come(ANNA)
    assert await anna.take("room:join", {"roomId": "room-1", "after": 7}) == {
        "ok": True,
        "author": {"kind": "user", "name": "anna"},
        "roomId": "room-1",
        "after": 7,
        "people": [
            {
                "userId": "anna",
                "author": {"kind": "user", "name": "anna"},
                "status": "online",
                "metadata": {},
            }
        ],
        "typing": [],
    }
    assert (lobby.places[0].after, outlet.noted) == (7, ["begin", "end"])


async def test_an_event_without_a_room_is_for_the_room_that_was_joined_last() -> None:
    lobby = Lobby()
    anna, _ = lobby.come()
    for number in (1, 2, 1):
        await anna.take("room:join", {"roomId": f"room-{number}"})
    assert (await anna.take("message:send", {"content": "Hi"}))["roomId"] == "room-1"
    assert (await anna.take("room:leave", {}))["roomId"] == "room-1"
    assert (await anna.take("typing:start", None))["roomId"] == "room-2"
    assert [place.left for place in lobby.places] == [True, False]


async def test_a_second_join_keeps_the_place_unless_it_asks_for_missed_messages() -> None:
    lobby = Lobby()
    anna, _ = lobby.come()
    for more in ({}, {}, {"after": 3}):
        assert (await anna.take("room:join", {"roomId": 1, **more}))["ok"]
    assert [(place.after, place.left) for place in lobby.places] == [(None, True), (3, False)]


async def test_a_message_is_posted_by_its_true_author_and_answered_with_its_ids() -> None:
    lobby = Lobby()
    anna, outlet = lobby.come(ANNA, label="eve")
    await anna.take("room:join", {"roomId": "room-1"})
    sent = {"content": "Hi", "ask": True, "id": "c1", "model": "tiny", "userId": "eve"}
    assert await anna.take("message:send", sent) == {
        "ok": True,
        "roomId": "room-1",
        "id": "c1",
        "messageId": 1,
        "streamId": "stream-1",
    }
    told = {"id": 17, "content": "So.", "role": "assistant"}
    assert (await anna.take("message:broadcast", {"message": told}))["id"] == "17"
    said, cast = lobby.posted
    assert (said.who, said.ask, said.model, said.role, said.except_for) == (
        Author("user", "anna"),
        True,
        "tiny",
        "user",
        None,
    )
    assert (cast.origin, cast.client_id, cast.role, cast.who) == (
        "broadcast",
        "17",
        "assistant",
        Author("user", "anna"),
    )
    assert cast.except_for is outlet


async def test_in_open_mode_the_label_is_the_author() -> None:
    lobby = Lobby()
    anna, _ = lobby.come(label="anna")
    await anna.take("message:send", {"roomId": "room-1", "content": "Hi"})
    assert lobby.posted[0].who == Author("user", "anna")
    assert lobby.posted[0].user_id == "local"


async def test_typing_and_presence_are_said_in_the_room() -> None:
    lobby = Lobby()
    anna, _ = lobby.come()
    for number in (1, 2):
        await anna.take("room:join", {"roomId": number})
    await anna.take("typing:start", {"roomId": 1})
    await anna.take("typing:stop", {"roomId": "room-1"})
    await anna.take("presence:update", {"status": "away", "metadata": {"at": "lunch"}})
    assert lobby.places[0].said == [True, False, ("away", {"at": "lunch"})]
    assert lobby.places[1].said == [("away", {"at": "lunch"})]


@pytest.mark.parametrize("name", FORMS)
async def test_a_room_that_is_not_there_is_not_found_in_every_event(name: str) -> None:
    anna, _ = Lobby().come()
    data = {"roomId": "room-100", "content": "Hi", "message": {"id": "1", "content": "So."}}
    assert await refused(anna, name, data) == "not_found"


@pytest.mark.parametrize("name", [name for name in FORMS if name not in ("room:join", "presence:update")])
async def test_an_event_needs_a_room(name: str) -> None:
    anna, _ = Lobby().come()
    data = {"content": "Hi", "message": {"id": "1", "content": "So."}}
    assert await refused(anna, name, data) == "not_joined"


async def test_a_watcher_may_not_write() -> None:
    lobby = Lobby(watched=frozenset({1}))
    anna, _ = lobby.come()
    await anna.take("room:join", {"roomId": 1})
    for name in ("message:send", "message:broadcast", "typing:start", "typing:stop"):
        assert await refused(anna, name, {"content": "Hi", "message": {"content": "So."}}) == "forbidden"
    assert (await anna.take("presence:update", {"status": "away"}))["ok"]
    assert lobby.posted == []


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("room:join", None),
        ("room:join", {}),
        ("room:join", {"roomId": ""}),
        ("room:join", {"roomId": "x" * 301}),
        ("room:join", {"roomId": ["room-1"]}),
        ("room:join", {"roomId": 1.5}),
        ("room:join", {"roomId": 2**70}),
        ("room:join", {"roomId": 1, "after": -1}),
        ("room:join", {"roomId": 1, "after": "7"}),
        ("room:join", "room-1"),
        ("room:leave", [1]),
        ("message:send", {"roomId": 1, "content": "Hi", "ask": "yes"}),
        ("message:send", {"roomId": 1, "content": "Hi", "id": "x" * 129}),
        ("message:broadcast", {"roomId": 1}),
        ("message:broadcast", {"roomId": 1, "message": "Hi"}),
        ("presence:update", {"status": ""}),
        ("presence:update", {"status": "x" * 65}),
        ("presence:update", {"metadata": ["a"]}),
        ("presence:update", {"metadata": {"a": "x" * MAX_METADATA_BYTES}}),
        ("nonsense", {}),
        ("connect", {}),
    ],
)
async def test_data_that_does_not_fit_is_refused_with_a_reason(name: str, data: Any) -> None:
    anna, _ = Lobby().come()
    assert await refused(anna, name, data) == "invalid"


async def test_too_large_and_too_deep_data_are_refused() -> None:
    anna, _ = Lobby().come()
    large = {"roomId": 1, "content": "x" * MAX_EVENT_BYTES}
    assert await refused(anna, "message:send", large) == "too_large"
    deep: Any = {}
    for _ in range(5000):
        deep = {"a": deep}
    assert await refused(anna, "presence:update", {"metadata": deep}) == "invalid"


async def test_a_connection_is_in_a_limited_number_of_rooms() -> None:
    lobby = Lobby()
    anna, _ = lobby.come()
    for number in range(1, MAX_ROOMS + 1):
        assert (await anna.take("room:join", {"roomId": number}))["ok"]
    assert await refused(anna, "room:join", {"roomId": 60}) == "quota_reached"
    assert (await anna.take("room:join", {"roomId": 1, "after": 0}))["ok"]
    await anna.take("room:leave", {"roomId": 2})
    assert (await anna.take("room:join", {"roomId": 60}))["ok"]


async def test_too_many_events_are_refused_and_a_flood_ends_the_connection() -> None:
    lobby = Lobby(per_s=20)
    anna, _ = lobby.come()
    for number in range(1, MAX_ROOMS + 1):
        assert (await anna.take("room:join", {"roomId": number}))["ok"]
    for _ in range(20):
        assert (await anna.take("typing:start", None))["ok"]
    said = list(lobby.places[-1].said)
    assert await refused(anna, "typing:stop", None) == "rate_limited"
    assert lobby.places[-1].said == said
    lobby.now += 0.1
    assert (await anna.take("typing:stop", None))["ok"]
    with pytest.raises(Flood):
        await flood(anna)
    assert len(lobby.refused) < 20 * (PATIENCE_S + 2)


async def flood(participant: Participant) -> None:
    for _ in range(1000):
        await participant.take("typing:start", None)


async def test_the_connections_of_a_user_share_a_limit_and_those_of_open_mode_do_not() -> None:
    lobby = Lobby(per_s=1)
    (one, _), (other, _) = lobby.come(ANNA), lobby.come(ANNA)
    assert (await one.take("message:send", {"roomId": 1, "content": "Hi"}))["ok"]
    assert await refused(other, "message:send", {"roomId": 1, "content": "Hi"}) == "rate_limited"
    (one, _), (other, _) = lobby.come(), lobby.come()
    for participant in (one, other):
        assert (await participant.take("message:send", {"roomId": 1, "content": "Hi"}))["ok"]


async def test_who_was_given_too_many_missed_messages_must_wait_and_loses_nothing() -> None:
    lobby = Lobby()
    lobby.missed = MISSED_AT_ONCE // 2
    anna, _ = lobby.come(ANNA)
    for _ in range(3):
        assert (await anna.take("room:join", {"roomId": 1, "after": 0}))["ok"]
    assert await refused(anna, "room:join", {"roomId": 1, "after": 0}) == "rate_limited"
    assert (
        str(lobby.refused[-1])
        == f"Too many missed messages were read: join again in {lobby.missed // 500} s."
    )
    assert not lobby.places[-1].left
    assert (await anna.take("room:join", {"roomId": 2}))["ok"]
    assert (await anna.take("message:send", {"roomId": 1, "content": "Hi"}))["ok"]
    lobby.now += lobby.missed / MISSED_PER_S
    assert (await anna.take("room:join", {"roomId": 1, "after": 0}))["ok"]


async def test_ten_rooms_with_all_that_joins_give_are_not_too_much() -> None:
    lobby = Lobby()
    lobby.missed = MAX_MISSED + MAX_MISSED_CHARS // CHARS_PER_COST
    anna, _ = lobby.come(ANNA)
    for number in range(1, 11):
        assert (await anna.take("room:join", {"roomId": number, "after": 0}))["ok"]


async def test_a_new_connection_of_a_user_has_no_new_limit_of_missed_messages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(event_rates, "MAX_USERS", 2)
    lobby = Lobby()
    lobby.missed = MISSED_AT_ONCE + 1
    anna, _ = lobby.come(ANNA)
    assert (await anna.take("room:join", {"roomId": 1, "after": 0}))["ok"]
    anna.leave()
    del anna
    lobby.come(BEN)
    again, _ = lobby.come(ANNA)
    assert await refused(again, "room:join", {"roomId": 1, "after": 0}) == "rate_limited"
    for caller in (BEN, CARL):
        lobby.come(caller)
    assert len(lobby.services.rates) == 2
    assert (await lobby.come(ANNA)[0].take("room:join", {"roomId": 1, "after": 0}))["ok"]


async def test_without_valid_credentials_an_event_ends_the_connection() -> None:
    lobby = Lobby()
    anna, _ = lobby.come(ANNA)
    lobby.stands = False
    with pytest.raises(Unauthorized):
        await anna.take("message:send", {"roomId": 1, "content": "Hi"})
    assert lobby.posted == []


async def test_a_dismissed_participant_is_in_the_room_no_more() -> None:
    lobby = Lobby()
    anna, _ = lobby.come()
    await anna.take("room:join", {"roomId": 1})
    assert (anna.dismissed(1), anna.dismissed(1)) == ("room-1", None)
    assert await refused(anna, "typing:start", {"roomId": 1}) == "not_joined"


async def test_a_participant_that_is_dismissed_while_it_joins_is_not_in_the_room() -> None:
    lobby = Lobby()
    anna, outlet = lobby.come()

    def dismiss() -> None:
        anna.dismissed(1)

    lobby.on_join = dismiss
    assert await refused(anna, "room:join", {"roomId": 1}) == "not_found"
    assert lobby.places[0].left
    assert outlet.noted == ["begin", "end"]


async def test_a_participant_that_goes_leaves_all_rooms_also_the_one_that_it_joins() -> None:
    lobby = Lobby()
    anna, _ = lobby.come()
    await anna.take("room:join", {"roomId": 1})
    lobby.on_join = anna.leave
    await anna.take("room:join", {"roomId": 2})
    assert [place.left for place in lobby.places] == [True, True]
