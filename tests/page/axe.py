"""Looks for what keeps people from using the page, with axe-core."""

from pathlib import Path

from playwright.async_api import Page

TOOLS = Path(__file__).parent
GRAVE = ("serious", "critical")


async def grave_findings(page: Page) -> list[str]:
    """Return axe's serious findings on the page as it is now. The test has the fixture `axe`."""
    await page.evaluate((TOOLS / "node_modules/axe-core/axe.min.js").read_text())
    told = await page.evaluate("axe.run({resultTypes: ['violations'], preload: false})")
    return [
        f"{finding['id']}: {node['html']}"
        for finding in told["violations"]
        if finding["impact"] in GRAVE
        for node in finding["nodes"]
    ]
