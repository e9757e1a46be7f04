"""The frames of a lam stream, with their ids."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Frame:
    id: str | None
    told: dict[str, Any]


async def frames_of(response: httpx.Response) -> AsyncIterator[Frame]:
    buffer = b""
    async for chunk in response.aiter_raw():
        *whole_frames, buffer = (buffer + chunk).split(b"\n\n")
        for frame in whole_frames:
            fields = dict(re.findall(r"^(id|data|retry): (.*)$", frame.decode(), re.MULTILINE))
            if "data" in fields:
                yield Frame(fields.get("id"), json.loads(fields["data"]))
