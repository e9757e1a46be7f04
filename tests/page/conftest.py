"""One Chromium for all tests of the page in this process: each start takes half a second of CPU."""

from collections.abc import AsyncIterator

import pytest

from tests.live.node import install_packages
from tests.page.axe import TOOLS
from tests.page.browser import chromium, shared_browser


@pytest.fixture(scope="package")
def axe() -> None:
    """Install axe-core before the time limit of a test begins."""
    install_packages(TOOLS)


@pytest.fixture(scope="package", autouse=True)
async def one_browser() -> AsyncIterator[None]:
    if chromium() is None:
        yield
        return
    async with shared_browser():
        yield
