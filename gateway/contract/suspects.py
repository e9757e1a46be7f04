"""Suspect requests: a server that broke off after it took a request may have died of it."""

from dataclasses import replace

from gateway.contract.errors import TimedOut, TransportError, UpstreamFailed
from gateway.contract.requests import ChatRequest

MAX_BROKE_OFF = 2


def ask_again(request: ChatRequest, error: TransportError) -> ChatRequest:
    """The request as the next server gets it, after `error` from the one that had it.

    Raises UpstreamFailed, not retryable, once MAX_BROKE_OFF servers took it whole and then broke off; the
    last one's own TimedOut if that fell silent. Everything that hands a request on calls this first: a pool
    of servers, the retry over MQTT, the failover between transports. The count travels in the request and
    in the error, so that they share one limit.
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
