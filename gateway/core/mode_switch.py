"""Switches the mode of the running gateway. A switch is kept in the database and applies again after a
restart."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from gateway.contract.audit import Actor, Change
from gateway.contract.errors import Conflict
from gateway.contract.kept_settings import KeptSetting, KeptSettings
from gateway.core.mode_selector import MODES, ModeSelector

log = logging.getLogger("sluice.modes")

NAME = "mode"
"""Name of the KeptSetting. Its value has `mode` and `setting`, the LLM_COMM_MODE at the time of the switch,
which is null if the command line stored it without a gateway."""

HEALTH_S = 10.0


class ModeUnavailable(Conflict):
    """The mode to switch to cannot serve; the message says what is missing."""

    code = "mode_unavailable"


@dataclass(frozen=True, slots=True)
class ModeState:
    """One mode. detail: one sentence; if not ok, it says what is missing."""

    mode: str
    ok: bool
    detail: str


class ModeSwitch:
    """Sets the selector's `mode`.

    The latest decision wins: a switch is dropped at a start with another LLM_COMM_MODE than the one that was
    set when it was made.

    Attributes:
        setting: LLM_COMM_MODE.
        kept: the latest switch; None if the mode is that of the setting.

    Args:
        modes: reads `mode` at each new reply.
        settings: the store of the switch.
    """

    def __init__(self, modes: ModeSelector, setting: str, settings: KeptSettings) -> None:
        self._modes = modes
        self._settings = settings
        self._changing = asyncio.Lock()
        self.setting = setting
        self.kept: KeptSetting | None = None

    @property
    def mode(self) -> str:
        return self._modes.mode

    async def switch(self, mode: str, actor: Actor, *, force: bool = False) -> None:
        """Use this mode for new replies, and keep it. Running replies go on where they are.

        force: switch even if the mode cannot serve now; it must be set up in any case. Raises
        ModeUnavailable, or StorageFailed without a change.
        """
        missing = self._modes.missing_for(mode)
        if missing is not None:
            raise ModeUnavailable(f"Mode {mode} cannot be used: {missing}.")
        state = await self.state_of(mode)
        if not state.ok and not force:
            raise ModeUnavailable(
                f"Mode {mode} cannot serve now: {state.detail}. Repair it, or repeat the switch with force."
            )
        async with self._changing:
            detail = {"before": self.mode} | ({} if state.ok else {"forced_despite": state.detail})
            change = Change(actor, "mode.switch", mode, detail)
            self.kept = await self._settings.put(NAME, {"mode": mode, "setting": self.setting}, change)
            self._modes.mode = mode

    async def reset(self, actor: Actor) -> None:
        """Return to LLM_COMM_MODE for new replies, and drop the switch. Raises StorageFailed without a
        change."""
        async with self._changing:
            change = Change(actor, "mode.reset", self.setting, {"before": self.mode})
            await self._settings.remove(NAME, change)
            self.kept = None
            self._modes.mode = self.setting

    async def states(self) -> Sequence[ModeState]:
        """Return the state of every mode."""
        return await asyncio.gather(*map(self.state_of, MODES))

    async def state_of(self, mode: str) -> ModeState:
        try:
            async with asyncio.timeout(HEALTH_S):
                health = await self._modes.health_of(mode)
        except TimeoutError:
            return ModeState(mode, False, f"its health check takes longer than {HEALTH_S:g} s")
        return ModeState(mode, health.ok, health.detail)

    async def restore(self) -> None:
        """Apply the kept switch, at the start."""
        kept = await self._read()
        was = None if kept is None else kept.value.get("setting")
        if kept is None or was in (None, self.setting):
            await self.reload()
            return
        log.warning(
            "the mode is %s, from LLM_COMM_MODE. It was %s at the switch to %s by %s, which is dropped",
            *(self.setting, was, kept.value.get("mode"), _described(kept)),
        )
        actor = Actor("gateway", "a start with another LLM_COMM_MODE")
        await self._settings.remove(NAME, Change(actor, "mode.reset", self.setting, dict(kept.value)))

    async def reload(self) -> None:
        """Apply a switch that another process has made in the database since the last call."""
        async with self._changing:
            kept = await self._read()
            if kept == self.kept:
                return
            self.kept = kept
            self._apply(kept)

    def _apply(self, kept: KeptSetting | None) -> None:
        before = self.mode
        self._modes.mode = self.setting
        if kept is None:
            log.info("the mode is %s, from LLM_COMM_MODE; before: %s", self.setting, before)
            return
        mode = str(kept.value.get("mode"))
        missing = self._modes.missing_for(mode) if mode in MODES else "there is no such mode"
        if missing is not None:
            log.warning(
                "the mode is %s, from LLM_COMM_MODE; the switch to %s by %s cannot be used: %s",
                *(self.setting, mode, _described(kept), missing),
            )
            return
        self._modes.mode = mode
        log.info(
            "the mode is %s, by the switch of %s; LLM_COMM_MODE is %s. Back to it: sluice mode --reset",
            *(mode, _described(kept), self.setting),
        )

    async def _read(self) -> KeptSetting | None:
        return next((kept for kept in await self._settings.all() if kept.name == NAME), None)


def _described(kept: KeptSetting) -> str:
    return f"{kept.set_by} at {kept.set_at:%Y-%m-%d %H:%M} UTC"
