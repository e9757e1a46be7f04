"""Continues the running replies of gateways that have died."""

import logging
from collections.abc import Collection

from gateway.contract.store import MessageStore

log = logging.getLogger("sluice.adoption")


class Adoption:
    """Takes over replies of other gateways, or of an earlier start of this one.

    Args:
        store: has the replies.
    """

    def __init__(self, store: MessageStore) -> None:
        self._store = store

    async def take_over(self, dead: Collection[str] | None) -> int:
        """Continue all running replies of these owners, of all others if None. Return their number.

        Replies that cannot be continued end as `interrupted`. Raises StorageFailed.
        """
        raise NotImplementedError
