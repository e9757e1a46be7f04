"""The lengths of a reply's events give its events again, whatever stands in them."""

import random
from collections.abc import Sequence

from gateway.contract.events import Delta, Progress, ReaderEvent, Reasoning, ToolCall
from gateway.core.event_lengths import NotedJournal, events_again, packed, unpacked
from gateway.journals.memory import MemoryJournal


def events(chance: random.Random) -> list[ReaderEvent]:
    text = "".join(chance.choices("ab\n\u2028🙂é", k=chance.randint(1, 9)))
    call = ToolCall(f"c{chance.random()}", "f", text)
    kinds: list[ReaderEvent] = [Delta(text), Reasoning(text), call, Progress("prompt")]
    return chance.choices(kinds, k=40)


def noted(batches: Sequence[Sequence[ReaderEvent]]) -> Sequence[int]:
    journal = NotedJournal(MemoryJournal().open("0" * 32))
    for batch in batches:
        journal.append(batch)
    return journal.lengths


def test_they_give_the_events_again() -> None:
    chance = random.Random(11)
    for _ in range(100):
        told = [event for _ in range(chance.randint(1, 5)) for event in events(chance)]
        lengths = noted([told[:7], told[7:]])
        again = events_again(
            unpacked(packed(lengths)),
            "".join(event.text for event in told if isinstance(event, Delta)),
            "".join(event.text for event in told if isinstance(event, Reasoning)),
            [event for event in told if isinstance(event, ToolCall)],
        )
        assert list(again) == told
