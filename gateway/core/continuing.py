"""Decides which stored replies can be continued."""

from gateway.contract.continued import ReplySoFar
from gateway.contract.errors import Conflict
from gateway.contract.store import StoredMessage

_ENDED_BY_MODEL = ("stop", "tool_calls", "content_filter", None)


def continued(reply: StoredMessage) -> ReplySoFar:
    """Return the reply as it goes on: one that the model has not ended. Raises Conflict with the reason."""
    if reply.role != "assistant":
        raise Conflict("Only a reply can be continued, and this message is a question: regenerate it.")
    if reply.status == "streaming":
        raise Conflict("This reply is still being generated.")
    if reply.tool_calls:
        raise Conflict("A reply with tool calls cannot be continued: send the results of the tools.")
    if reply.reason in _ENDED_BY_MODEL:
        raise Conflict("The model has ended this reply itself: send another message.")
    if not reply.content:
        raise Conflict("This reply has no text that could be continued: regenerate it.")
    return reply.so_far()
