"""The handle of a running reply, with which its next owner continues to receive it."""

from collections.abc import Callable, Mapping
from typing import Any

from gateway.contract.random_names import random_hex
from gateway.contract.reattach import Handle, Now, Reattachable
from gateway.contract.record import replace
from gateway.core.reply_facts import KEY, ReplyFacts, facts_in


class StoredHandle:
    """The handle and facts of one reply as they are stored.

    Attributes:
        facts: of the reply.
        is_current: returns False while the transport repeats what the store has: its entries do not belong to
            the reply's text then.
        is_left: True once another gateway receives the reply.
        may_be_left: returns True while another gateway may receive it.
        on_replaced: called when the transport has given another handle, which must be stored.
    """

    def __init__(self, stored: Mapping[str, Any], facts: ReplyFacts | None = None) -> None:
        self._handle: Handle = {name: value for name, value in stored.items() if name != KEY}
        self.facts = facts_in(stored) if facts is None else facts
        self.is_left = False
        self.may_be_left: Callable[[], bool] = lambda: False
        self._is_kept = facts is None  # a stored reply was left to this gateway by another one
        self.is_current: Callable[[], bool] = lambda: True
        self.on_replaced: Callable[[], None] = lambda: None
        self._now: Now | None = None
        self._send: Callable[[str], None] | None = None

    @property
    def handle(self) -> Handle:
        """The transport's part."""
        return self._handle

    @property
    def reattachable(self) -> Reattachable:
        """For the transport that gets the request."""
        return Reattachable(
            str(self._handle.get("conversation_id", "")),
            keep_handle=self._replace,
            at_checkpoints=self._register,
            is_left=lambda: self.is_left or self.may_be_left(),
            renew=self._renew,
        )

    def refresh(self, mode: str, first_s: float | None) -> Mapping[str, Any]:
        """Return the handle that belongs to the reply's present text.

        Args:
            mode: of the transport that has the request.
            first_s: seconds from the question to the first content; None before it.
        """
        if self._now is not None and self.is_current():
            self._handle = {**self._handle, **self._now()}
        return self.as_json(mode, first_s)

    def as_json(self, mode: str | None = None, first_s: float | None = None) -> Mapping[str, Any]:
        """Return the latest handle. Arguments as in `refresh`; without them the facts stay."""
        if mode is not None:
            self.facts = replace(self.facts, mode=mode, first_s=first_s)
        return {**self._handle, KEY: self.facts.as_json()}

    def was_written(self, handle: Mapping[str, Any]) -> None:
        """The store has this handle, or failed to take it: a request that waited for that is sent."""
        id = self._handle.get("conversation_id")
        if self._send is not None and handle.get("conversation_id") == id:
            send, self._send = self._send, None
            send(str(id))

    def leave(self) -> bool:
        """Leave the reply to its next owner. Return False if its generator is not known to keep it."""
        self.is_left = self._is_kept and bool(self._handle)
        return self.is_left

    def _replace(self, handle: Handle) -> None:
        self._handle = handle
        self._is_kept = True
        self._now = None
        self.on_replaced()

    def _renew(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._replace({"conversation_id": random_hex()})
        self._is_kept = False

    def _register(self, now: Now) -> None:
        self._now = now
        self._is_kept = True
