"""Contract of journals, with the run that writes and with the readers that follow."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract.errors import NotFound
from gateway.contract.events import (
    Cancelled,
    Delta,
    Ending,
    Failed,
    Finished,
    ReaderEvent,
    Reasoning,
    ToolCall,
)
from gateway.contract.journal import BadPosition, FellBehind, Journal, Position
from gateway.contract.record import replace
from gateway.journals import memory
from gateway.journals.memory import MemoryJournal
from tests.contract.registry import JOURNAL_RIGS, JournalFactory

END = Finished("stop", Ending(1, "", "sse", "token", None, None, None, None))
KIB = "x" * 1024


def unheard() -> None:
    """Callback of readers that nothing calls."""


@pytest.fixture(params=JOURNAL_RIGS, ids=lambda factory: factory.__name__)
def make_journal(request: pytest.FixtureRequest) -> JournalFactory:
    factory: JournalFactory = request.param
    return factory


@pytest.fixture
def journal(make_journal: JournalFactory) -> Journal:
    return make_journal(max_bytes=8 * 1024, total_bytes=64 * 1024)


async def test_a_reader_gets_what_was_and_what_comes_in_order(journal: Journal) -> None:
    log = journal.open("a")
    log.append([Delta("1")])
    reader = journal.follow("a", unheard)
    assert reader.take() == [Delta("1")]
    log.append([Delta("2"), Delta("3")])
    log.append([END])
    assert reader.take() == [Delta("2"), Delta("3"), END]
    assert reader.at_end
    assert reader.take() == []


async def test_a_log_is_there_from_its_begin_until_it_is_forgotten(journal: Journal) -> None:
    assert "a" not in journal
    journal.open("a").append([END])
    assert "a" in journal
    journal.forget("a")
    assert "a" not in journal


async def test_a_log_that_goes_on_counts_behind_its_earlier_end(journal: Journal) -> None:
    journal.open("a").append([Delta("1"), END])
    journal.forget("a", after_s=60)
    log = journal.open("a", Position(2, 1))
    log.append([Delta("23")])
    log.append([END])
    rest, whole = journal.follow("a", unheard, 2), journal.follow("a", unheard)
    assert log.last_seq == 4
    assert (rest.begins_at, rest.take()) == (None, [Delta("23"), END])
    assert (whole.begins_at, whole.take()) == (Position(2, 1), [Delta("23"), END])
    assert journal.follow("a", unheard, 3).take() == [END]
    journal.forget("a")
    assert journal.bytes == 0


async def test_every_append_calls_every_reader_until_it_leaves(journal: Journal) -> None:
    log = journal.open("a")
    calls: list[str] = []
    one = journal.follow("a", lambda: calls.append("one"))
    journal.follow("a", lambda: calls.append("two"))
    log.append([Delta("1")])
    one.leave()
    log.append([Delta("2")])
    assert calls == ["one", "two", "two"]


async def test_readers_go_at_their_own_pace(journal: Journal) -> None:
    log = journal.open("a")
    fast, slow = journal.follow("a", unheard), journal.follow("a", unheard)
    log.append([Delta("1")])
    assert fast.take() == [Delta("1")]
    log.append([Delta("2")])
    assert fast.take() == [Delta("2")]
    assert slow.take() == [Delta("1"), Delta("2")]


async def test_a_reader_begins_behind_any_event(journal: Journal) -> None:
    log = journal.open("a")
    log.append([Delta("1"), Reasoning("2"), Delta("3")])
    assert log.last_seq == 3
    for seq in range(4):
        reader = journal.follow("a", unheard, seq)
        assert len(reader.take()) == 3 - seq
        assert reader.begins_at is None


async def test_a_position_ahead_of_the_log_is_refused(journal: Journal) -> None:
    journal.open("a").append([Delta("1")])
    with pytest.raises(BadPosition):
        journal.follow("a", unheard, 2)


async def test_a_terminal_event_closes_the_log(journal: Journal) -> None:
    log = journal.open("a")
    log.append([Delta("1"), END])
    reader = journal.follow("a", unheard, 1)
    assert not reader.at_end
    assert reader.take() == [END]
    assert reader.at_end


async def test_a_log_can_close_without_an_end_and_says_so(journal: Journal) -> None:
    log = journal.open("a")
    calls: list[int] = []
    reader = journal.follow("a", lambda: calls.append(1))
    log.close()
    assert (calls, reader.at_end) == ([1], True)


async def test_two_logs_never_mix(journal: Journal) -> None:
    one, two = journal.open("a"), journal.open("b")
    one.append([Delta("1")])
    two.append([Delta("2")])
    assert journal.follow("a", unheard).take() == [Delta("1")]
    assert journal.follow("b", unheard).take() == [Delta("2")]


async def test_a_forgotten_log_is_not_found_but_its_readers_keep_it(journal: Journal) -> None:
    log = journal.open("a")
    log.append([Delta("1"), END])
    reader = journal.follow("a", unheard)
    journal.forget("a")
    with pytest.raises(NotFound):
        journal.follow("a", unheard)
    assert reader.take() == [Delta("1"), END]


async def test_an_ended_log_is_forgotten_after_its_time(journal: Journal) -> None:
    journal.open("a").append([Delta("1"), END])
    journal.forget("a", after_s=0.001)
    assert journal.follow("a", unheard).take() == [Delta("1"), END]
    afterwards = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, afterwards.set)
    async with asyncio.timeout(30):
        await afterwards.wait()
    with pytest.raises(NotFound):
        journal.follow("a", unheard)


async def test_nothing_is_dropped_before_the_store_has_it(journal: Journal) -> None:
    log = journal.open("a")
    for _ in range(20):
        log.append([Delta(KIB)])
    assert len(journal.follow("a", unheard).take()) == 20


async def test_beyond_its_bytes_a_log_drops_what_the_store_has(journal: Journal) -> None:
    log = journal.open("a")
    for _ in range(20):
        log.append([Delta(KIB)])
    log.checkpointed(18)
    reader = journal.follow("a", unheard)
    begins_at = reader.begins_at
    assert begins_at is not None
    assert 10 < begins_at.seq <= 18
    assert begins_at.chars == begins_at.seq * 1024
    assert len(reader.take()) == 20 - begins_at.seq
    assert log.last_seq == 20


async def test_only_text_counts_for_the_place_in_the_text(journal: Journal) -> None:
    log = journal.open("a")
    log.append([Reasoning(KIB), *[Delta(KIB)] * 9])
    log.checkpointed(2)
    assert journal.follow("a", unheard).begins_at == Position(2, 1024, thoughts=1024)


async def test_a_reader_that_fell_behind_what_is_held_hears_of_it(journal: Journal) -> None:
    log = journal.open("a")
    reader = journal.follow("a", unheard)
    for _ in range(20):
        log.append([Delta(KIB)])
    log.checkpointed(20)
    with pytest.raises(FellBehind):
        reader.take()


async def test_all_together_are_bounded_by_dropping_ended_logs_first(make_journal: JournalFactory) -> None:
    journal = make_journal(max_bytes=64 * 1024, total_bytes=20 * 1024)
    running = journal.open("running")
    running.append([Delta(KIB)] * 4)
    for name in ("old", "new"):
        log = journal.open(name)
        log.append([*[Delta(KIB)] * 8, END])
        journal.forget(name, after_s=60)
    assert len(journal.follow("running", unheard).take()) == 4
    assert len(journal.follow("new", unheard).take()) == 9
    with pytest.raises(NotFound):
        journal.follow("old", unheard)
    journal.forget("new")
    journal.forget("running")


async def test_memory_comes_back_when_logs_are_forgotten() -> None:
    journal = MemoryJournal()
    for name in ("a", "b"):
        journal.open(name).append([Delta(KIB), END])
    assert journal.bytes > 2 * 1024
    journal.forget("a", after_s=60)
    journal.forget("a")
    journal.forget("b")
    assert (journal.bytes, len(journal)) == (0, 0)


def test_the_bytes_of_a_log_are_those_of_what_it_holds_however_it_was_packed() -> None:
    journal = MemoryJournal()
    log = journal.open("a")
    for number in range(400):
        log.append([Reasoning("hm") if number % 150 == 0 else Delta("ab" * (number % 7 + 1))])
        if number % 90 == 0:
            log.checkpointed(log.last_seq)
            log.drop_to(10**9)
    assert len(log.packed) < 40
    log.count()
    assert log.bytes == journal.bytes
    assert log.bytes == sum(map(memory._packed_size, log.packed)) + sum(map(memory._size, log.events))


def test_a_log_drops_from_its_beginning_what_is_too_much_and_counts_what_is_left() -> None:
    """Three logs, so that the journal's own bytes are not those of one of them."""
    journal = MemoryJournal(max_bytes=40 * 1024)
    logs = [journal.open(name) for name in ("a", "b", "c")]
    everything = [Reasoning("hm") if number % 50 == 49 else Delta("abc" * 20) for number in range(400)]
    texts = [event.text if isinstance(event, Delta) else "" for event in everything]
    for number, log in enumerate(logs):
        for event in everything:
            log.append([event])
        log.checkpointed(log.last_seq - 10)
        log.drop_to((number + 1) * 3 * 1024)
        held = sum(map(memory._packed_size, log.packed)) + sum(map(memory._size, log.events))
        assert log.bytes == held <= (number + 1) * 3 * 1024
        assert held > (number + 1) * 2 * 1024, "it dropped more than it had to"
        assert log.first.chars == len("".join(texts[: log.first.seq]))
        reader = journal.follow("abc"[number], lambda: None, log.first.seq)
        assert list(reader.take()) == everything[log.first.seq :]
    assert journal.bytes == sum(log.bytes for log in logs)


def test_packed_text_of_which_the_store_has_only_a_part_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_PACK_EVENTS", 1)
    journal = MemoryJournal(max_bytes=1024)
    log = journal.open("a")
    for _ in range(10):
        log.append([Delta(KIB)])
    log.checkpointed(3)
    reader = journal.follow("a", unheard, after=3)
    assert (reader.begins_at, len(reader.take())) == (None, 7)


def test_a_log_keeps_what_stands_behind_a_tool_call_or_a_checkpoint() -> None:
    log = MemoryJournal().open("a")
    log.append([*[Delta(KIB)] * 4, ToolCall("1", "f", "{}"), *[Delta(KIB)] * 4])
    log.checkpointed(9)
    log.drop_to(0)
    assert log.first == Position(4, 4 * 1024)
    other = MemoryJournal().open("b")
    other.append([*[Delta(KIB)] * 4, Reasoning("hm"), *[Delta(KIB)] * 4])
    other.checkpointed(4)
    other.drop_to(0)
    assert other.first == Position(4, 4 * 1024)


@pytest.mark.parametrize(
    "text", ["", "-", "1", "1-", "-1", "a-b", "1-2-3", "+1-2", "1 -2", "\u0661-\u0662", "1-" + "9" * 13]
)
def test_a_malformed_position_is_refused(text: str) -> None:
    with pytest.raises(BadPosition):
        Position.parse(text)


def test_a_position_reads_what_it_writes() -> None:
    assert Position.parse(str(Position(12, 345))) == Position(12, 345)


ENDING = replace(END.ending, full_content=KIB)


@pytest.mark.parametrize(
    ("event", "least_bytes"),
    [
        pytest.param(ToolCall("1", "f", KIB), 1024, id="a tool call's arguments"),
        pytest.param(ToolCall(KIB, "f", ""), 1024, id="a tool call's id"),
        pytest.param(ToolCall("1", KIB, ""), 1024, id="a tool call's name"),
        pytest.param(Reasoning(KIB), 1024, id="reasoning"),
        pytest.param(Delta("😀" * 1024), 4096, id="characters of four bytes"),
        pytest.param(Finished("stop", ENDING), 1024, id="the text of an end"),
        pytest.param(Cancelled("user_stop", ENDING), 1024, id="the text of a stop"),
        pytest.param(Failed("gap", "gap", KIB, True, ENDING), 2048, id="an error"),
    ],
)
async def test_every_text_of_an_event_is_counted(
    journal: Journal, event: ReaderEvent, least_bytes: int
) -> None:
    before = journal.bytes
    log = journal.open("a")
    log.append([event])
    log.checkpointed(0)
    assert journal.bytes - before >= least_bytes
    journal.forget("a")
    assert journal.bytes == before


async def test_ended_logs_make_room_for_what_tool_calls_and_ends_take(make_journal: JournalFactory) -> None:
    journal = make_journal(max_bytes=64 * 1024, total_bytes=64 * 1024)
    for number in range(100):
        journal.open(str(number)).append([ToolCall("1", "f", KIB * 4), Finished("stop", ENDING)])
        journal.forget(str(number), after_s=60)
    assert journal.bytes <= 64 * 1024
    assert len(journal.follow("99", unheard).take()) == 2
    with pytest.raises(NotFound):
        journal.follow("0", unheard)
    for number in range(100):
        journal.forget(str(number))


texts_and_calls = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=3).map(Delta),
        st.just(ToolCall("1", "f", "{}")),
        st.just(Reasoning("hm")),
    ),
    min_size=1,
    max_size=40,
)


@pytest.mark.parametrize("factory", JOURNAL_RIGS, ids=lambda factory: factory.__name__)
@given(events=texts_and_calls, times=st.integers(1, 12), after=st.integers(0, 480), batch=st.integers(1, 7))
def test_a_reader_gets_the_same_events_wherever_it_begins(
    factory: JournalFactory, events: list[ReaderEvent], times: int, after: int, batch: int
) -> None:
    journal = factory(max_bytes=10**9, total_bytes=10**9)
    everything = events * times
    log = journal.open("a")
    early = journal.follow("a", unheard)
    taken: list[ReaderEvent] = []
    for at in range(0, len(everything), batch):
        log.append(everything[at : at + batch])
        taken += early.take()
    assert taken == everything
    after = min(after, len(everything))
    assert list(journal.follow("a", unheard, after).take()) == everything[after:]
