"""Waiting for a state that no program announces."""

import asyncio

PAUSE_S = 0.02


async def look_again() -> None:
    """Pause between two looks: looking without a pause takes the CPU of the program that is looked at."""
    await asyncio.sleep(PAUSE_S)
