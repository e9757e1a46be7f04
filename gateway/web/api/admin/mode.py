"""`/api/admin/mode`: shows and switches the mode."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Query, Request
from pydantic import BaseModel, ConfigDict, Field

from gateway.contract.kept_settings import KeptSetting
from gateway.contract.secrets import without_secrets
from gateway.web.api.admin.authors import Author, author_of
from gateway.web.api.dependencies import ActorIs, Gateway
from gateway.web.http.bodies import parse
from gateway.web.http.endpoint import read_request
from gateway.web.services import Services

ModeName = Literal["sse", "mqtt", "auto"]
Flag = Literal["0", "1", "false", "true"]


class ModeBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    mode: ModeName


class ModeStateView(BaseModel):
    mode: ModeName
    ok: Annotated[bool, Field(description="True if a reply could start in it now.")]
    detail: Annotated[str, Field(description="One sentence; if not ok, it says what is missing.")]


class SwitchView(BaseModel):
    """The latest switch. mode: differs from the current mode if it cannot be used with the settings."""

    mode: str
    by: Author
    at: datetime


class ModeView(BaseModel):
    """The current mode. setting: LLM_COMM_MODE. switch: null if the mode is that of the setting."""

    mode: str
    setting: str
    switch: SwitchView | None
    modes: Sequence[ModeStateView]


async def show_mode(gateway: Gateway) -> ModeView:
    return await _view(gateway)


async def switch_mode(
    request: Request,
    gateway: Gateway,
    actor: ActorIs,
    force: Annotated[Flag, Query(description="1: also if the mode cannot serve now.")] = "0",
) -> ModeView:
    body = parse(await read_request(gateway, request.scope, request.receive), ModeBody)
    await gateway.mode_switch.switch(body.mode, actor, force=force in {"1", "true"})
    return await _view(gateway)


async def reset_mode(gateway: Gateway, actor: ActorIs) -> ModeView:
    await gateway.mode_switch.reset(actor)
    return await _view(gateway)


async def _view(gateway: Services) -> ModeView:
    states = await gateway.mode_switch.states()
    switch = gateway.mode_switch
    return ModeView(
        mode=switch.mode,
        setting=switch.setting,
        switch=None if switch.kept is None else _switch_view(switch.kept),
        modes=[
            ModeStateView(mode=state.mode, ok=state.ok, detail=without_secrets(state.detail))
            for state in states
        ],
    )


def _switch_view(kept: KeptSetting) -> SwitchView:
    return SwitchView(mode=str(kept.value.get("mode")), by=author_of(kept.set_by), at=kept.set_at)
