"""Markdown that grows is shown as the whole text is: as it looks after the page is loaded again."""

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.live.node import requires_node

pytestmark = [pytest.mark.live, requires_node()]

HERE = Path(__file__).parent


async def test_wherever_its_pieces_end_it_has_the_same_blocks() -> None:
    assert await told_by("growing_text.mjs") == []


async def test_text_on_which_the_parser_would_fail_or_take_very_long_is_read() -> None:
    """A model that repeats itself writes thousands of `- `, `>` or `**`. What is too deep is text."""
    told = await told_by("hostile_text.mjs")
    assert told.pop("strong") == 400  # a long paragraph with other marks between them
    assert told == {"split": [4, 2, 2, 1, 2], "areDeep": [False] * 4, "isLinkFound": False}


async def told_by(script: str) -> Any:
    async with asyncio.timeout(120):
        process = await asyncio.create_subprocess_exec("node", HERE / script, stdout=PIPE, stderr=PIPE)
        told, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return json.loads(told)
