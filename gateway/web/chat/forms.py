"""Reading of a POST that sends a message: its form, and the headers that all forms share."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
from msgspec import Struct

from gateway.contract.dialect import Dialect
from gateway.contract.errors import BadRequest
from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.journal import START, BadPosition, Position
from gateway.contract.record import replace
from gateway.contract.requests import CacheUse
from gateway.core.question import Question
from gateway.web.chat.formats import dialect_chosen
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Receive, Scope, header
from gateway.web.http.endpoint import read_request
from gateway.web.http.large_bodies import unhurried
from gateway.web.http.traced_requests import trace_of
from gateway.web.relay.relay import NotTheOwner
from gateway.web.relay.seal import RELAYED
from gateway.web.services import Services

MAX_KEY_CHARS = 255


class Post(Struct, frozen=True):
    """A POST with its whole body, which is not parsed yet."""

    scope: Scope
    body: bytes
    user_id: str


class Asked(Struct, frozen=True):
    """A parsed POST.

    Attributes:
        headers: further headers of the response.
        mirror: name of a device that also gets the reply.
        after: position after which the stream begins, from `Last-Event-ID`; START without it.
        kept: False: neither the message nor the reply is stored.
        relayed: True if another gateway found that this one makes the reply.
    """

    question: Question
    dialect: Dialect
    headers: Sequence[tuple[bytes, bytes]] = ()
    mirror: str | None = None
    after: Position = START
    kept: bool = True
    relayed: bool = False


Form = Callable[[Services, Post], Awaitable[Asked]]
"""Parses the body of one kind of request. Raises RequestRejected. `accept` reads headers and `?format=`."""


async def accept(gateway: Services, form: Form, scope: Scope, receive: Receive) -> Asked:
    """Read a POST: its body by `form`, and `?format=`, Idempotency-Key, Last-Event-ID and Sluice-Resumable.

    Raises RequestRejected.
    """
    chosen = dialect_chosen(scope)
    body = await read_request(gateway, scope, receive)
    caller = caller_of(scope)
    asked = await form(gateway, Post(scope, body, caller.user_id))
    dialect = chosen or asked.dialect
    claim = await unhurried(len(body), partial(claim_of, scope, body))
    after = _position_of(scope, claim)
    question = replace(
        asked.question,
        pace=gateway.word_pace if dialect.paced_by == "word" else gateway.pace,
        idempotency=claim,
        allowance=caller.allowance,
        trace=trace_of(scope),
        dialect=dialect.name,
        cache=cache_use_of(scope),
        resumable=asked.question.resumable or claim is not None or header(scope, b"sluice-resumable") == "1",
    )
    relayed = scope.get(RELAYED, False)
    return Asked(question, dialect, asked.headers, asked.mirror, after, asked.kept, relayed)


async def begin(gateway: Services, asked: Asked) -> str:
    """Save the message and start its reply, or find the earlier reply of its Idempotency-Key.

    Returns the stream's id, which must be followed before the next await. Raises NotFound if the user has no
    such mirror device, BadPosition if Last-Event-ID is given and there is no earlier reply, NotTheOwner if a
    relayed request has none.
    """
    question, claim = asked.question, asked.question.idempotency
    if asked.relayed:
        earlier = None if claim is None else await gateway.conversations.asked_before(question.user_id, claim)
        if earlier is None:
            raise NotTheOwner("No reply has this Idempotency-Key any more.")
        return earlier
    if not asked.kept:
        return await gateway.conversations.rehearse(replace(question, idempotency=None, resumable=False))
    if asked.after != START and claim is not None:
        stream_id = await gateway.conversations.asked_before(question.user_id, claim)
        if stream_id is None:
            raise BadPosition("No reply has this Idempotency-Key: send the request without Last-Event-ID.")
        return stream_id
    if asked.mirror is None:
        return await gateway.conversations.ask(question)
    await gateway.mirrors.check(question.user_id, asked.mirror)
    stream_id = await gateway.conversations.ask(question)
    gateway.mirrors.show(asked.mirror, stream_id, question.user_id)
    return stream_id


def cache_use_of(scope: Scope) -> CacheUse:
    """Return how the response cache is used, from the header `Cache-Control`. Source: RFC 9111, 5.2.1."""
    said = header(scope, b"cache-control")
    if said is None:
        return "use"
    directives = {directive.strip().lower() for directive in said.split(",")}
    if "no-store" in directives:
        return "off"
    return "refresh" if directives & {"no-cache", "max-age=0"} else "use"


def _position_of(scope: Scope, claim: IdempotencyClaim | None) -> Position:
    """Return the position of `Last-Event-ID`.

    Raises BadPosition without a claim: the client would append the text of a new reply to that of the first.
    """
    event_id = header(scope, b"last-event-id")
    if not event_id:
        return START
    if claim is None:
        raise BadPosition(
            "A POST with Last-Event-ID needs the Idempotency-Key of the first POST: send it, or leave out "
            "Last-Event-ID to get a new reply."
        )
    return Position.parse(event_id)


def claim_of(scope: Scope, body: bytes) -> IdempotencyClaim | None:
    """Return the Idempotency-Key with a digest of path and body, or None. Raises BadRequest."""
    key = header(scope, b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise BadRequest(f"The header Idempotency-Key must have 1 to {MAX_KEY_CHARS} characters.")
    try:
        canonical = msgspec.json.encode(msgspec.json.decode(body or b"{}"), order="deterministic")
    except (msgspec.DecodeError, RecursionError) as error:
        # Invalid JSON that the form accepted, in a field that it ignores.
        raise BadRequest("The body is not JSON.") from error
    return IdempotencyClaim(key, hashlib.sha256(scope["path"].encode() + b"\n" + canonical).hexdigest())
