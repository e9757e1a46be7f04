"""Contract of message stores: threads, which continue a conversation without a session id."""

import asyncio
from datetime import timedelta

from gateway.contract.exchanges import IdempotencyClaim
from gateway.contract.store import MessageStore
from gateway.contract.threads import HIDDEN_PREFIX, LASTING_PREFIX
from tests.store.exchanges import question
from tests.store.rigs import StoreRig

THREAD = "device:robot-1"


async def test_a_thread_goes_on_with_its_latest_session(store: MessageStore) -> None:
    assert await store.latest_session("local", THREAD) is None
    first = await store.begin(question(thread=THREAD))
    await store.begin(question())
    latest = await store.latest_session("local", THREAD)
    assert latest is not None
    assert (latest.id, latest.key) == (first.session_id, first.session_key)
    assert (await store.begin(question(thread=THREAD))).session_id == first.session_id


async def test_a_thread_belongs_to_its_user(store: MessageStore) -> None:
    first = await store.begin(question(thread=THREAD))
    assert await store.latest_session("anna", THREAD) is None
    assert (await store.begin(question(user_id="anna", thread=THREAD))).session_id != first.session_id


async def test_questions_of_one_thread_at_the_same_moment_share_a_session(store: MessageStore) -> None:
    begun = await asyncio.gather(
        *(store.begin(question(thread=thread)) for thread in (THREAD, "other", THREAD, None, THREAD))
    )
    sessions = [exchange.session_id for exchange in begun]
    assert sessions[0] == sessions[2] == sessions[4]
    assert len(set(sessions)) == 3
    assert len(await store.messages("local", sessions[0])) == 6


async def test_a_thread_is_over_when_it_was_silent_for_12_hours(rig: StoreRig, store: MessageStore) -> None:
    first = await store.begin(question(thread=THREAD))
    rig.later(timedelta(hours=11, minutes=59))
    assert (await store.begin(question(thread=THREAD))).session_id == first.session_id
    rig.later(timedelta(hours=11, minutes=59))
    assert await store.latest_session("local", THREAD) is not None
    rig.later(timedelta(minutes=1))
    assert await store.latest_session("local", THREAD) is None
    assert (await store.begin(question(thread=THREAD))).session_id != first.session_id


async def test_a_thread_that_a_client_names_itself_never_ends(rig: StoreRig, store: MessageStore) -> None:
    named = f"{LASTING_PREFIX}ag-ui:t1"
    first = await store.begin(question(thread=named))
    rig.later(timedelta(days=400))
    assert (await store.begin(question(thread=named))).session_id == first.session_id


async def test_sessions_of_agents_are_listed_where_all_are_asked_for(store: MessageStore) -> None:
    agents = await store.begin(question(thread=f"{HIDDEN_PREFIX}openai:python"))
    shown = [(await store.begin(question(thread=thread))).session_id for thread in (THREAD, None)]
    listed = [session.id for session in await store.sessions("local")]
    assert sorted(listed) == sorted(shown)
    everything = [session.id for session in await store.sessions("local", hidden=True)]
    assert sorted(everything) == sorted([agents.session_id, *shown])
    assert (await store.session("local", agents.session_id)).id == agents.session_id


async def test_a_session_without_a_thread_takes_that_of_who_asks_in_it(store: MessageStore) -> None:
    started = await store.create_session("local", "from a browser")
    await store.begin(question(started.id, thread=THREAD))
    await store.begin(question(started.id, thread="another"))
    latest = await store.latest_session("local", THREAD)
    assert latest is not None
    assert latest.id == started.id
    assert await store.latest_session("local", "another") is None


async def test_a_refused_question_starts_no_session_for_its_thread(store: MessageStore) -> None:
    claim = IdempotencyClaim("k", "f")
    await store.begin(question(idempotency=claim))
    refused, begun = await asyncio.gather(
        store.begin(question(thread=THREAD, idempotency=claim)),
        store.begin(question(thread=THREAD)),
        return_exceptions=True,
    )
    assert isinstance(refused, Exception)
    assert not isinstance(begun, BaseException)
    assert len(await store.sessions("local")) == 2
