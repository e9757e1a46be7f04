"""Markdown that grows is shown as the whole text is: as it looks after the page is loaded again."""

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest

from tests.live.node import requires_node

pytestmark = [pytest.mark.live, requires_node()]

SCRIPT = Path(__file__).with_name("growing_text.mjs")


async def test_wherever_its_pieces_end_it_has_the_same_blocks() -> None:
    async with asyncio.timeout(120):
        process = await asyncio.create_subprocess_exec("node", SCRIPT, stdout=PIPE, stderr=PIPE)
        told, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    assert json.loads(told) == []
