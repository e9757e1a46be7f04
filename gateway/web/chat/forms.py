"""What a POST asks and in which dialect it is answered: one form per kind of request."""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import msgspec

from gateway.contract.dialect import Dialect
from gateway.contract.errors import BadRequest
from gateway.contract.journal import START, BadPosition, Position
from gateway.contract.requests import CacheUse
from gateway.contract.store import IdempotencyClaim
from gateway.core.conversations import Question
from gateway.web.chat.formats import dialect_chosen
from gateway.web.door.callers import caller_of
from gateway.web.http.asgi import Receive, Scope, header
from gateway.web.http.endpoint import read_request
from gateway.web.http.large_bodies import unhurried
from gateway.web.services import Services

MAX_KEY_CHARS = 255
_TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Post:
    """A POST whose body is here; nothing of the body was looked at."""

    scope: Scope
    body: bytes
    user_id: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What a POST asks for.

    headers: of the answer, besides every stream's own. mirror: the device that is to hear the reply too.
    after: where a client that sends its POST again goes on, from `Last-Event-ID`; START for a first POST.
    """

    question: Question
    dialect: Dialect
    headers: Sequence[tuple[bytes, bytes]] = ()
    mirror: str | None = None
    after: Position = START


Form = Callable[[Services, Post], Awaitable[Asked]]
"""Reads the body. Raises RequestRejected. What every request has in common (the Idempotency-Key, the pace,
resumability by header) is no business of a form."""


async def accept(gateway: Services, form: Form, scope: Scope, receive: Receive) -> Asked:
    """Read a POST by its form, and what all have in common: `?format=`, Idempotency-Key, Last-Event-ID,
    Sluice-Resumable.

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
        cache=cache_use_of(scope),
        resumable=asked.question.resumable or claim is not None or header(scope, b"sluice-resumable") == "1",
    )
    return Asked(question, dialect, asked.headers, asked.mirror, after)


async def begin(gateway: Services, asked: Asked) -> str:
    """Save the question and start its reply, or find the reply that this POST goes on with.

    Returns the stream's id, to be followed before the next await. Raises NotFound for a mirror device that is
    unknown or somebody else's, BadPosition for a Last-Event-ID where no reply was begun.
    """
    question, claim = asked.question, asked.question.idempotency
    if asked.after != START and claim is not None:
        stream_id = await gateway.conversations.asked_before(question.user_id, claim)
        if stream_id is None:
            raise BadPosition(
                "No reply was begun with this Idempotency-Key; send the request without Last-Event-ID."
            )
        return stream_id
    if asked.mirror is None:
        return await gateway.conversations.ask(question)
    await gateway.mirrors.check(question.user_id, asked.mirror)
    stream_id = await gateway.conversations.ask(question)
    gateway.mirrors.show(asked.mirror, stream_id, question.user_id)
    return stream_id


def trace_of(scope: Scope) -> str | None:
    """The request's `traceparent`, None if it is none. Source: W3C Trace Context, 3.2."""
    trace = header(scope, b"traceparent")
    return trace if trace is not None and _TRACEPARENT.fullmatch(trace) else None


def cache_use_of(scope: Scope) -> CacheUse:
    """The request's wish in `Cache-Control`; other directives are ignored. Source: RFC 9111, 5.2.1."""
    said = header(scope, b"cache-control")
    if said is None:
        return "use"
    directives = {directive.strip().lower() for directive in said.split(",")}
    if "no-store" in directives:
        return "off"
    return "refresh" if directives & {"no-cache", "max-age=0"} else "use"


def _position_of(scope: Scope, claim: IdempotencyClaim | None) -> Position:
    """Where the client goes on.

    BadPosition without a claim: the request would make a second reply, and its text would follow the first's.
    """
    event_id = header(scope, b"last-event-id")
    if not event_id:
        return START
    if claim is None:
        raise BadPosition(
            "A POST with Last-Event-ID needs the Idempotency-Key that it was first sent with; "
            "send it without Last-Event-ID to ask again."
        )
    return Position.parse(event_id)


def claim_of(scope: Scope, body: bytes) -> IdempotencyClaim | None:
    """The request's Idempotency-Key with what it stands for: endpoint and body, however that is spaced."""
    key = header(scope, b"idempotency-key")
    if key is None:
        return None
    if not 1 <= len(key) <= MAX_KEY_CHARS:
        raise BadRequest(f"An Idempotency-Key has 1 to {MAX_KEY_CHARS} characters.")
    try:
        canonical = msgspec.json.encode(msgspec.json.decode(body), order="deterministic")
    except (msgspec.DecodeError, RecursionError) as error:
        # Rubbish that the form let pass where it ignores fields.
        raise BadRequest("The body is not JSON.") from error
    return IdempotencyClaim(key, hashlib.sha256(scope["path"].encode() + b"\n" + canonical).hexdigest())
