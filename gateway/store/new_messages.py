"""Inserts the messages of new exchanges."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert

from gateway.contract.authors import Author
from gateway.contract.branches import Spot
from gateway.contract.content import text_of
from gateway.contract.exchanges import Exchange, NewExchange
from gateway.contract.random_names import random_uuid
from gateway.store.branches import spot_of
from gateway.store.parts import EncodedExchange
from gateway.store.statements import Statement
from gateway.store.tables import messages


class Place(NamedTuple):
    """The session that an exchange belongs in."""

    id: int
    key: str
    uuid: str


def _question_and_reply(
    exchange: NewExchange, session_id: int, owner: str, now: datetime
) -> list[dict[str, Any]]:
    """Return the values of both rows by column, with the parent still to be set: the only list of a new
    message's columns."""
    common = {
        "user_id": exchange.user_id,
        "session_id": session_id,
        "created_at": now,
        "epoch": 0,
        "parent_id": None,
    }
    question = {
        "uuid": random_uuid(),
        "role": "user",
        "author": str(exchange.author or Author("user", exchange.user_id)),
        "status": "complete",
        "content": text_of(exchange.content),
        "parts": exchange.parts if isinstance(exchange, EncodedExchange) else None,
        "owner": None,
        "handle": None,
        "stream_id": None,
        "mode": None,
        "delivery": None,
        "request": None,
    }
    reply = {
        "uuid": random_uuid(),
        "role": "assistant",
        "author": str(Author("assistant", None)),
        "status": "streaming",
        "content": "",
        "parts": None,
        "owner": owner,
        "handle": exchange.handle,
        "stream_id": exchange.stream_id,
        "mode": exchange.mode,
        "delivery": exchange.delivery,
        "request": exchange.request,
    }
    return [common | question, common | reply]


_BEGUN = _question_and_reply(
    NewExchange("", None, "", "", "", mode="", delivery="token"), 0, "", datetime.min
)[0]
_INSERT_MESSAGE = Statement(insert(messages).returning(messages.c.id), tuple(_BEGUN))


def insert_exchanges(
    connection: Connection,
    accepted: Sequence[NewExchange],
    places: Sequence[Place],
    last_ids: dict[int, int | None],
    owner: str,
    now: datetime,
) -> list[Exchange]:
    """Insert all new questions and then all replies; exchanges of one session one after the other.

    Args:
        places: the session of each exchange.
        last_ids: the id of the last message that each existing session shows; changed.
        owner: the gateway that produces the replies.
    """
    begun: dict[int, Exchange] = {}
    for turn in _turns(places):
        pairs = {at: _question_and_reply(accepted[at], places[at].id, owner, now) for at in turn}
        spots = {at: _spot(connection, accepted[at], places[at], last_ids) for at in turn}
        new = {
            at: pairs[at][0] | {"parent_id": spots[at].parent_id}
            for at in turn
            if spots[at].question_id is None
        }
        ids = _INSERT_MESSAGE.rows(connection, [*new.values()])
        question_ids = {at: id for at, (id,) in zip(new, ids, strict=True)}
        replies = {at: pairs[at][1] | {"parent_id": question_ids.get(at, spots[at].parent_id)} for at in turn}
        ids = _INSERT_MESSAGE.rows(connection, [*replies.values()])
        for at, (reply_id,) in zip(replies, ids, strict=True):
            place, question_id = places[at], spots[at].question_id
            last_ids[place.id] = reply_id
            begun[at] = Exchange(
                session_id=place.id,
                session_key=place.key,
                session_uuid=place.uuid,
                user_message_id=question_ids[at] if question_id is None else question_id,
                assistant_message_id=reply_id,
                assistant_message_uuid=replies[at]["uuid"],
                opens_session=accepted[at].session_id is None,
                new_question=question_id is None,
            )
    return [begun[at] for at in range(len(accepted))]


def _spot(
    connection: Connection, exchange: NewExchange, place: Place, last_ids: Mapping[int, int | None]
) -> Spot:
    last_id = last_ids.get(place.id)
    return Spot(None) if last_id is None else spot_of(connection, exchange, place.id, last_id)


def _turns(places: Sequence[Place]) -> list[list[int]]:
    """Return the positions of `places` in groups that have each session at most once."""
    turns: list[list[int]] = []
    seen: Counter[int] = Counter()
    for at, place in enumerate(places):
        if seen[place.id] == len(turns):
            turns.append([])
        turns[seen[place.id]].append(at)
        seen[place.id] += 1
    return turns
