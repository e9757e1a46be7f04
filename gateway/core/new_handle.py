"""Makes the first handle of a reply, which is stored before its request is sent."""

from gateway.contract.random_names import random_hex
from gateway.contract.requests import ChatRequest
from gateway.core.budgets import prompt_chars
from gateway.core.failover import Route
from gateway.core.question import DEVICE, Question
from gateway.core.reply_facts import ReplyFacts
from gateway.core.stored_handle import StoredHandle


def new_handle(question: Question, request: ChatRequest, route: Route, now: float) -> StoredHandle:
    """Return a handle with a random conversation id. now: seconds since the epoch."""
    claim = question.idempotency
    key_id = None if question.allowance is None else question.allowance.key_id
    earlier = question.continues
    facts = ReplyFacts(
        mode=route.info.name,
        asked_at=now,
        deadline_s=request.deadline_s,
        model=request.model,
        chosen_mode=route.mode,
        resumable=question.resumable,
        unattended=question.unattended,
        exact=question.exact_events,
        dialect=question.dialect,
        chat=claim.key if claim is not None and question.dialect == DEVICE else None,
        key_id=key_id,
        prompt_chars=0 if key_id is None else prompt_chars(request),
        trace=question.trace,
        earlier_thoughts=0 if earlier is None else len(earlier.reasoning or ""),
    )
    return StoredHandle({"conversation_id": random_hex()}, facts)
