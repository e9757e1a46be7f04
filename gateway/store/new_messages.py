"""Inserts the messages of new exchanges."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection, insert, literal_column

from gateway.contract.authors import Author
from gateway.contract.branches import Spot
from gateway.contract.content import text_of
from gateway.contract.exchanges import Exchange, NewExchange
from gateway.contract.random_names import ordered_uuid
from gateway.store.branches import spot_of
from gateway.store.parts import EncodedExchange
from gateway.store.statements import NewRows
from gateway.store.tables import messages


class Place(NamedTuple):
    """The session that an exchange belongs in."""

    id: int
    key: str
    uuid: str


def _question(exchange: NewExchange, session_id: int, parent_id: int | None, now: datetime) -> dict[str, Any]:
    """Return the values of a new question by column."""
    return {
        "user_id": exchange.user_id,
        "session_id": session_id,
        "created_at": now,
        "parent_id": parent_id,
        "uuid": ordered_uuid(),
        "author": str(exchange.author or Author("user", exchange.user_id)),
        "content": text_of(exchange.content),
        "parts": exchange.parts if isinstance(exchange, EncodedExchange) else None,
        "client_id": exchange.client_id,
    }


def _reply(
    exchange: NewExchange, session_id: int, parent_id: int | None, owner: str, now: datetime
) -> dict[str, Any]:
    """Return the values of a new reply by column."""
    return {
        "user_id": exchange.user_id,
        "session_id": session_id,
        "created_at": now,
        "parent_id": parent_id,
        "uuid": ordered_uuid(),
        "owner": owner,
        "handle": exchange.handle,
        "stream_id": exchange.stream_id,
        "mode": exchange.mode,
        "delivery": exchange.delivery,
        "request": exchange.request,
    }


def _insert(columns: Iterable[str], **constants: str) -> NewRows:
    """constants: columns with the same value in every row, as SQL. A value in the text is not bound each
    time."""
    values: dict[str, Any] = {name: literal_column(sql) for name, sql in {**constants, "epoch": "0"}.items()}
    return NewRows(insert(messages).values(values), tuple(columns), key="uuid")


_NONE = NewExchange("", None, "", "", "", mode="", delivery="token")
_INSERT_QUESTION = _insert(_question(_NONE, 0, None, datetime.min), role="'user'", status="'complete'")
_INSERT_REPLY = _insert(
    _reply(_NONE, 0, None, "", datetime.min),
    role="'assistant'",
    author=f"'{Author('assistant', None)}'",
    status="'streaming'",
    content="''",
)


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
        spots = {at: _spot(connection, accepted[at], places[at], last_ids) for at in turn}
        new = {
            at: _question(accepted[at], places[at].id, spots[at].parent_id, now)
            for at in turn
            if spots[at].question_id is None
        }
        ids = _INSERT_QUESTION.ids(connection, [*new.values()])
        question_ids = {at: ids[row["uuid"]] for at, row in new.items()}
        replies = {
            at: _reply(accepted[at], places[at].id, question_ids.get(at, spots[at].parent_id), owner, now)
            for at in turn
        }
        ids = _INSERT_REPLY.ids(connection, [*replies.values()])
        for at, row in replies.items():
            place, question_id = places[at], spots[at].question_id
            reply_id = last_ids[place.id] = ids[row["uuid"]]
            begun[at] = Exchange(
                session_id=place.id,
                session_key=place.key,
                session_uuid=place.uuid,
                user_message_id=question_ids[at] if question_id is None else question_id,
                assistant_message_id=reply_id,
                assistant_message_uuid=row["uuid"],
                opens_session=accepted[at].session_id is None,
                new_question=question_id is None,
                question_uuid=new[at]["uuid"] if at in new else "",
                asked_at=now if at in new else None,
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
    seen: defaultdict[int, int] = defaultdict(int)
    for at, place in enumerate(places):
        if seen[place.id] == len(turns):
            turns.append([])
        turns[seen[place.id]].append(at)
        seen[place.id] += 1
    return turns
