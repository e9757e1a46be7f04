"""The second of two gateways, named a and b, takes over the replies of the first one."""

from typing import Any

from tests.live.house import House
from tests.web.gateway_server import STREAM

TAKING_OVER = "does not live any more: its replies are taken over"
"""A line in the log of b."""


async def stopped_at(b: House, stream_id: str) -> Any:
    """Stop a reply of a, that is frozen or dead, at b. Return the answer.

    It may be 503 only if b takes the reply over later than a stop waits, on a slow machine.
    """
    while True:
        answer = await b.http.post(f"{STREAM}/{stream_id}/stop")
        if answer.status_code != 503:
            return answer.json()
        assert TAKING_OVER not in b.program.said
