"""Creates the configured stages and chains them in front of the transport."""

from collections.abc import Callable, Sequence
from functools import partial

from gateway.contract.events import Delivery
from gateway.contract.requests import ChatRequest
from gateway.contract.stage import Next, Stage
from gateway.core.stages.continuation import Continuation
from gateway.core.stages.response_cache import ResponseCache


def stages_of(
    names: Sequence[str],
    *,
    cache_ttl_s: float,
    cache_max_bytes: int,
    continue_on_failure: bool = False,
    clock: Callable[[], float],
) -> list[Stage]:
    """Return the stages with these names, in this order, without those that are off, and the continuation.

    Args:
        names: from the setting STAGES, each once.
        cache_ttl_s: 0 turns the cache off.
        cache_max_bytes: see ResponseCache.
        continue_on_failure: see Continuation.
        clock: seconds, monotonic.
    """
    stages: dict[str, Stage] = {}
    if cache_ttl_s > 0:
        stages["cache"] = ResponseCache(ttl_s=cache_ttl_s, max_bytes=cache_max_bytes, clock=clock)
    return [*(stages[name] for name in names if name in stages), Continuation(continue_on_failure)]


def through(stages: Sequence[Stage], last: Next) -> Next:
    """Return the function that passes a request through all stages, in their order, to `last`."""
    for stage in reversed(stages):
        last = partial(stage.answer, next=last)
    return last


def expected_delivery(stages: Sequence[Stage], request: ChatRequest) -> Delivery | None:
    """Return the first result of the stages' `expects` that is not None; None if there is none."""
    return next((delivery for stage in stages if (delivery := stage.expects(request)) is not None), None)
