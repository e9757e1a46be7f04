"""Looks for what keeps people from using the page, with axe-core."""

import asyncio
from pathlib import Path

from playwright.async_api import Page

from tests.live.node import install_packages

TOOLS = Path(__file__).parent
GRAVE = ("serious", "critical")


async def grave_findings(page: Page) -> list[str]:
    """Return axe's serious findings on the page as it is now."""
    await asyncio.to_thread(install_packages, TOOLS)
    await page.evaluate((TOOLS / "node_modules/axe-core/axe.min.js").read_text())
    told = await page.evaluate("axe.run({resultTypes: ['violations'], preload: false})")
    return [
        f"{finding['id']}: {node['html']}"
        for finding in told["violations"]
        if finding["impact"] in GRAVE
        for node in finding["nodes"]
    ]
