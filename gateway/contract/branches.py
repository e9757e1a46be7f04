"""The place of a question in its session, whose messages form a tree.

A client that repeats the whole conversation sends messages that are stored already. Each is stored once.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

FIRST = ""


@dataclass(frozen=True, slots=True)
class Branch:
    """The place of an exchange. An exchange without one follows the session's latest message.

    Attributes:
        after: uuid or stream id of the reply before the question; of the reply that is continued if `asked`
            is `answered`. FIRST: there is none. None, or a reply that the session does not have: unknown.
        asked: `now`: a question. If the same one is stored at this place, it gets another reply; with `after`
            None also one of the latest messages that no complete reply follows: the client sends again what
            failed or was stopped.
            `again`: a question that was asked before, perhaps with another text.
            `answered`: a question whose reply is continued, with the results of tools.
            The last two are found by their text if `after` is unknown. Without a match the question is
            stored: at this place, or after the session's latest message if the place is unknown, or if it is
            FIRST and the question is asked `now`.
    """

    after: str | None = None
    asked: Literal["now", "again", "answered"] = "now"


class Spot(NamedTuple):
    """The place of an exchange, by ids of stored messages.

    Attributes:
        parent_id: the message before the exchange; None: there is none.
        question_id: the stored question that the new reply belongs to. None: a new question is stored below
            the parent, and the reply below that.
    """

    parent_id: int | None
    question_id: int | None = None
