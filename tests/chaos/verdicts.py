"""Compares what each client heard with the database and with what the model generates."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tests.chaos.model_program import note_of
from tests.chaos.plan import MAY_ASK_AGAIN, MAY_ASK_AGAIN_IF_CLASSIC, MAY_END, Fault
from tests.chaos.readers import Heard
from tests.chaos.records import Row


@dataclass(slots=True)
class Tally:
    """The replies of one phase.

    Attributes:
        complete: clients that heard the whole text of a resumable reply, which is also in the database.
        taken_over: those of them that another gateway or start took over.
        classic: replies that end with their connection; each text is a beginning of the model's.
        early: by the row's reason: resumable replies that ended early, as their fault allows, with the text
            that the client heard in the database, a beginning of the model's.
        unasked: resumable replies that ended with an error and without text, because no model server got the
            question: its gateway died or stopped before, or broker or server were away.
        refused: questions that no gateway accepted before the phase ended.
        again: replies that a model server was asked for more than once.
        wrong: one line for each broken promise.
    """

    complete: int = 0
    taken_over: int = 0
    classic: int = 0
    refused: int = 0
    drops: int = 0
    losses: int = 0
    unasked: int = 0
    again: int = 0
    early: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def judged(
    fault: Fault, heard: Iterable[Heard], rows: Mapping[str, Row], generations: Mapping[str, int]
) -> Tally:
    """generations: by note (see model_program), how often a model server was asked."""
    tally = Tally()
    for reply in heard:
        tally.drops += reply.drops
        tally.losses += reply.losses
        asked = generations.get(note_of(reply.grammar), 0)
        tally.again += asked > 1
        problem = None
        if reply.stream_id is None:
            tally.refused += 1
            if reply.hung or reply.refusals:
                problem = f"no gateway accepted it, refused with {reply.refusals or 'nothing'}"
        elif (row := rows.get(reply.stream_id)) is None:
            problem = "accepted, and not in the database"
        elif reply.resumable:
            problem = _problem_of(reply, row) or _counted(fault, reply, row, asked, tally)
        else:
            tally.classic += 1
            problem = _problem_of_classic(reply, row)
        may_again = fault in MAY_ASK_AGAIN or (fault in MAY_ASK_AGAIN_IF_CLASSIC and not reply.resumable)
        if problem is None and asked > 1 and not may_again:
            problem = f"it was generated {asked} times"
        if problem is not None:
            tally.wrong.append(f"{_named(reply, rows)}: {problem}; heard {_outline(reply)}")
    return tally


def _problem_of(reply: Heard, row: Row) -> str | None:
    text, ends = reply.source.text, reply.source.ends
    if row.status == "streaming":
        return "its row has no end"
    if reply.hung or reply.refusals:
        return f"no end for its client, refused with {reply.refusals or 'nothing'}"
    if not reply.expected.startswith(row.content):
        return f"the database has another text than the model made: {_differ(row.content, reply.expected)}"
    if len(ends) != 1:
        return f"its client heard {len(ends)} ends"
    if (ends[0]["type"] == "done", ends[0]["reason"]) != (row.status == "complete", row.reason):
        return f"its client heard {ends[0]['type']}, {ends[0]['reason']}"
    if text == row.content:
        return None
    # A crash loses the text after the last checkpoint. A client that has heard more keeps it.
    if row.status == "interrupted" and reply.expected.startswith(text) and text.startswith(row.content):
        return None
    return f"its client heard another text: {_differ(text, row.content)}"


def _counted(fault: Fault, reply: Heard, row: Row, asked: int, tally: Tally) -> str | None:
    """Count a reply without a problem of its own, and return one if its fault does not excuse its end."""
    if row.status == "complete" and row.content == reply.expected:
        tally.complete += 1
        tally.taken_over += row.epoch > 0
        return None if asked else "complete, and no model server was asked"
    reason = row.reason or row.status
    if reason in ("interrupted", "upstream_error", "shutdown") and not asked:
        tally.unasked += 1
        return None
    tally.early[reason] += 1
    return None if reason in MAY_END.get(fault, ()) else "it ended early"


def _problem_of_classic(reply: Heard, row: Row) -> str | None:
    text, ends = reply.source.text, reply.source.ends
    if row.status == "streaming":
        return "its row has no end"
    if not (reply.expected.startswith(row.content) and reply.expected.startswith(text)):
        return f"another text than the model made: {_differ(text, row.content)}"
    if len(ends) > 1:
        return f"its client heard {len(ends)} ends"
    if ends and ends[0]["type"] == "done" and not (row.status == "complete" and text == row.content):
        return f"done, but {_differ(text, row.content)}"
    return None


def _named(reply: Heard, rows: Mapping[str, Row]) -> str:
    row = rows.get(reply.stream_id or "")
    state = "no row" if row is None else f"{row.status}, {row.reason}, epoch {row.epoch}"
    return f"{reply.stream_id} ({'resumable' if reply.resumable else 'classic'}, {state})"


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
