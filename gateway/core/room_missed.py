"""The messages that a listener missed, within limits: each listener has all of its own in memory at once."""

from collections.abc import Callable, Sequence

from gateway.contract.content import Text, parts_of, size_of, text_of, without_attachments
from gateway.contract.errors import Unprocessable
from gateway.contract.notes import posted
from gateway.contract.record import replace
from gateway.contract.room_events import MAX_ATTACHED_BYTES, MessagePosted
from gateway.contract.store import MessageStore

MAX_MISSED = 1_000
"""Maximum number of messages that a listener gets when it joins."""

MAX_MISSED_CHARS = 1_000_000
"""Maximum length of their texts and attachments together, without the attachments that rooms leave out."""

PAGE = 200

CHARS_PER_COST = 10_000
"""A message costs 1, and 1 more for each so many characters of its text and attachments. Attachments that are
left out count, because they were read."""

OnRead = Callable[[int], None]
"""Called with the cost of messages that were read."""


def free(cost: int) -> None:
    """Implements OnRead for a listener that is not charged."""


class TooMuchMissed(Unprocessable):
    code = "too_much_missed"


async def missed_messages(
    store: MessageStore, user_id: str, session_id: int, after: int, on_read: OnRead = free
) -> Sequence[MessagePosted]:
    """Return the messages with ids greater than `after`, oldest first, without replies that still run.

    on_read: is called after each page, also if the messages are refused then.

    Raises NotFound without access, TooMuchMissed, StorageFailed.
    """
    missed: list[MessagePosted] = []
    count = chars = 0
    while page := await store.messages(user_id, session_id, after=after, limit=PAGE):
        after = page[-1].id
        count += len(page)
        cost = len(page)
        for message in page:
            if message.status != "streaming":
                whole = posted(message)
                cost += _length(whole) // CHARS_PER_COST
                missed.append(_without_large_attachments(whole))
                chars += _length(missed[-1])
        on_read(cost)
        if count > MAX_MISSED or chars > MAX_MISSED_CHARS:
            raise TooMuchMissed(
                f"More than {MAX_MISSED} messages or {MAX_MISSED_CHARS} characters are newer: "
                "read the session's messages instead."
            )
    return missed


def _without_large_attachments(message: MessagePosted) -> MessagePosted:
    if sum(map(size_of, parts_of(message.content))) <= MAX_ATTACHED_BYTES:
        return message
    return replace(message, content=without_attachments(message.content))


def _length(message: MessagePosted) -> int:
    attached = [part for part in parts_of(message.content) if not isinstance(part, Text)]
    return len(text_of(message.content)) + sum(len(part.base64) for part in attached)
