"""Compares what each client heard with the database and with what the model generates."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos.readers import Heard
from tests.chaos.records import Row


@dataclass(slots=True)
class Tally:
    """The replies of one phase.

    Attributes:
        complete: clients that heard the whole text, which is also in the database.
        honest: by the row's reason: replies that ended early, with the text that the client heard in the
            database, a beginning of the model's.
        wrong: one line for each reply that lost or doubled text, or has no end.
        taken_over: complete replies that another gateway or start took over.
    """

    complete: int = 0
    classic: int = 0
    refused: int = 0
    drops: int = 0
    losses: int = 0
    taken_over: int = 0
    honest: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def judged(heard: Iterable[Heard], rows: Mapping[str, Row]) -> Tally:
    tally = Tally()
    for reply in heard:
        tally.drops += reply.drops
        tally.losses += reply.losses
        if reply.stream_id is None:
            tally.refused += 1
            if reply.hung:
                tally.wrong.append("a question that no gateway accepted")
            continue
        row = rows.get(reply.stream_id)
        if row is None:
            tally.wrong.append(f"{reply.stream_id}: accepted, and not in the database")
        elif reply.resumable:
            _judge(reply, row, tally)
        else:
            _judge_classic(reply, row, tally)
    return tally


def _judge(reply: Heard, row: Row, tally: Tally) -> None:
    text, ends = reply.source.text, reply.source.ends
    problem = None
    if row.status == "streaming":
        problem = "its row has no end"
    elif reply.hung or reply.refusals:
        problem = f"no end for its client, refused with {reply.refusals or 'nothing'}"
    elif not reply.expected.startswith(row.content):
        problem = f"the database has another text than the model made: {_differ(row.content, reply.expected)}"
    elif len(ends) != 1:
        problem = f"its client heard {len(ends)} ends"
    elif text != row.content and not (
        # A crash loses the text after the last checkpoint. A client that has heard more keeps it.
        row.status == "interrupted" and reply.expected.startswith(text) and text.startswith(row.content)
    ):
        problem = f"its client heard another text: {_differ(text, row.content)}"
    if problem is not None:
        about = f"{reply.stream_id} ({row.status}, {row.reason}, epoch {row.epoch})"
        tally.wrong.append(f"{about}: {problem}; heard {_outline(reply)}")
    elif row.status == "complete" and row.content == reply.expected:
        tally.complete += 1
        tally.taken_over += row.epoch > 0
    else:
        tally.honest[row.reason or row.status] += 1


def _judge_classic(reply: Heard, row: Row, tally: Tally) -> None:
    """A classic reply ends with its connection; its text is a beginning of the model's."""
    tally.classic += 1
    text = reply.source.text
    if row.status == "streaming" or not (
        reply.expected.startswith(row.content) and reply.expected.startswith(text)
    ):
        tally.wrong.append(f"{reply.stream_id}: classic, {row.status}: {_differ(text, row.content)}")
    elif reply.source.ended and reply.source.ends[0]["type"] == "done" and text != reply.expected:
        tally.wrong.append(f"{reply.stream_id}: classic, done, but {_differ(text, reply.expected)}")


def _outline(reply: Heard) -> str:
    kinds = [event["type"] for event in reply.source.told]
    return f"{reply.drops} drops, {reply.losses} losses, {kinds[:3]} ... {kinds[-3:]}, {reply.source.last_id}"


def _differ(text: str, other: str) -> str:
    at = next((n for n, (a, b) in enumerate(zip(text, other, strict=False)) if a != b), None)
    if at is None:
        return f"{len(text)} and {len(other)} characters, alike so far"
    return (
        f"{len(text)} and {len(other)} characters, at {at} {text[at : at + 30]!r} and {other[at : at + 30]!r}"
    )
