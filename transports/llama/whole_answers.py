"""Requests with one short answer, such as embeddings, at several model servers."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from gateway.contract.crashing_requests import Request, ask_again
from gateway.contract.embeddings import Embeddings, EmbedRequest
from gateway.contract.errors import (
    Loading,
    NotSupported,
    Overloaded,
    TransportError,
    Unreachable,
)
from gateway.contract.record import replace
from transports.llama.known_server import KnownServer

Answer = TypeVar("Answer")


async def first_answer(
    servers: Sequence[KnownServer],
    request: Request,
    ask: Callable[[KnownServer, Request], Awaitable[Answer]],
) -> Answer:
    """Return the answer of the first server that has one, asked in order of their free slots.

    The next server is asked if one cannot do it, is away or is full. Raises the last error, or that of
    `ask_again`.

    Args:
        servers: at least one, all healthy.
        request: what to ask.
        ask: asks one server.
    """
    last: TransportError | NotSupported | None = None
    for known in sorted(servers, key=lambda known: -known.room):
        known.open += 1
        try:
            return await ask(known, request)
        except NotSupported as error:
            last = last or error
        except TransportError as error:
            is_away = error.broke_off > 0 or isinstance(error, Unreachable | Loading)
            if is_away:
                known.doubt()
            elif not isinstance(error, Overloaded):
                raise
            request = ask_again(request, error)
            last = error
        finally:
            known.open -= 1
    assert last is not None, "no server was given"  # noqa: S101 - a bug of the caller
    raise last


async def embeddings_from(servers: Sequence[KnownServer], request: EmbedRequest) -> Embeddings:
    """Return the vectors of a healthy server with the model.

    A name that no server lists means the first model that makes embeddings. If all its servers are away,
    raises Unreachable: vectors of another model cannot be compared with those that the client has.
    Raises NotSupported if no model makes embeddings.
    """
    is_listed = any(request.model in known.models for known in servers)
    models = [request.model] if is_listed else dict.fromkeys(known.default_model for known in servers)
    for model in models:
        with_model = [known for known in servers if known.lists(model)]
        able = [known for known in with_model if model not in known.cannot_embed]
        well = [known for known in able if known.well]
        if able and not well:
            raise Unreachable(f"no server of {model or 'a model'} is ready", retry_after_s=2)
        if well:
            try:
                return await first_answer(well, replace(request, model=model), _embeddings_of)
            except NotSupported:
                if is_listed:
                    raise
    raise NotSupported("No model server makes embeddings: start llama.cpp with --embeddings.")


async def _embeddings_of(known: KnownServer, request: EmbedRequest) -> Embeddings:
    try:
        return await known.server.abilities.embed(request)
    except NotSupported:
        known.cannot_embed.add(request.model)
        raise
