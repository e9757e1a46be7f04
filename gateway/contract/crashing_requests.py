"""Limits retries of a request after which servers disconnected: the request may have crashed them."""

from typing import TypeVar

from gateway.contract.embeddings import EmbedRequest
from gateway.contract.errors import TimedOut, TransportError, UpstreamFailed
from gateway.contract.record import replace
from gateway.contract.requests import ChatRequest

MAX_BROKE_OFF = 2

Request = TypeVar("Request", bound=ChatRequest | EmbedRequest)


def ask_again(request: Request, error: TransportError) -> Request:
    """Return the request to send to the next server after `error` from the previous one.

    Once MAX_BROKE_OFF servers received the whole request and then disconnected, raises UpstreamFailed, not
    retryable; if `error` is a TimedOut, raises that one. Every retry calls this first: a pool of servers, the
    retry over MQTT, the failover between transports. The count is stored in the request and in the error, so
    that all of them share one limit.
    """
    broke_off = request.broke_off + error.broke_off
    if broke_off < MAX_BROKE_OFF:
        return replace(request, broke_off=broke_off) if error.broke_off else request
    if isinstance(error, TimedOut):
        error.broke_off = MAX_BROKE_OFF
        raise error
    final = UpstreamFailed(
        f"{MAX_BROKE_OFF} model servers broke off after they took this request. It may be the cause, so no "
        "other server is asked: change the request before you send it again."
    )
    final.retryable = False
    final.broke_off = MAX_BROKE_OFF
    raise final from error
