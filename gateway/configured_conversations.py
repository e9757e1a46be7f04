"""Makes the conversations: with what limits, stages and pauses a question gets its reply."""

import time

from gateway.contract.ended_reply import OnEnded
from gateway.contract.limits import Places
from gateway.contract.random_names import ordered_hex
from gateway.contract.traces import ReplyTraces
from gateway.core.budgets import Budgets
from gateway.core.checkpoints import Checkpoints
from gateway.core.conversations import Conversations
from gateway.core.key_ring import KeyRing
from gateway.core.limits import Limits
from gateway.core.mode_selector import ModeSelector
from gateway.core.runs import Runs
from gateway.core.session_news import SessionNews
from gateway.core.stages.order import stages_of
from gateway.core.tickets import Tickets
from gateway.settings import Settings
from gateway.store.sql_store import SqlStore
from gateway.web.chat.resume import resume_url


def conversations_of(
    settings: Settings,
    store: SqlStore,
    runs: Runs,
    selector: ModeSelector,
    checkpoints: Checkpoints,
    news: SessionNews,
    tickets: Tickets,
    keys: KeyRing,
    budgets: Budgets,
    places: Places,
    traces: ReplyTraces,
    on_ended: OnEnded,
) -> Conversations:
    return Conversations(
        store,
        runs,
        selector,
        Limits(settings.reply_deadline_s, settings.history_max_chars, settings.max_body_bytes),
        checkpoints,
        news,
        resume_url=lambda stream_id, user_id: resume_url(stream_id, tickets.issue(stream_id, user_id)),
        new_id=ordered_hex,
        clock=time.monotonic,
        now=store.membership.clock,
        stages=stages_of(
            settings.stages,
            cache_ttl_s=settings.cache_ttl_s,
            cache_max_bytes=settings.cache_max_bytes,
            continue_on_failure=settings.continue_on_failure,
            clock=time.monotonic,
        ),
        allowance_of=keys.allowance_of,
        on_ended=on_ended,
        budgets=budgets,
        places=places,
        traces=traces,
    )
