"""The requests of a connection that wait behind the one being answered."""

from typing import Any


class PipelinedRequests(list[Any]):
    """As uvicorn's deque, which takes 700 bytes also if it is empty, as it nearly always is."""

    def appendleft(self, request: Any) -> None:
        self.insert(0, request)
