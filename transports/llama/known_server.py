"""The state of one of several model servers at its latest health check."""

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from gateway.contract.content import Kind
from gateway.contract.embeddings import EmbedRequest
from gateway.contract.errors import GatewayError, NotSupported
from gateway.contract.transport import Health, ServerInfo, Transport

if TYPE_CHECKING:
    from transports.llama.server_attempt import ServerAttempt

log = logging.getLogger("sluice.servers")

SLOTS_UNTOLD = 4
"""Assumed concurrent replies of a server that reports no slots."""
PROBE_S = 2.0
MISSES_TO_GIVE_UP = 2
"""Failed health checks in a row after which replies that wait for their first token go to another server."""


class KnownServer:
    """A server's latest health, models and slots, and our replies there.

    Args:
        url: names the server in the log and in `info`.
        server: the transport to it.
        quiet: do not log changes of its health.

    Attributes:
        models, slots: they keep their values while the server is unhealthy.
        embeds: whether its default model makes embeddings; None while unknown.
        waiting: replies that have shown nothing yet.
        reattaching: replies of which it has sent nothing yet since they were reattached; until then it may be
            slow to answer.
        cannot_embed: models that made no embeddings when they were asked, since its latest start.
    """

    def __init__(self, url: str, server: Transport, *, quiet: bool = False) -> None:
        self.url = url
        self.server = server
        self.health: Health | None = None
        self.models: Sequence[str] = ()
        self.slots = 0
        self.open = 0
        self.doubted = asyncio.Event()
        self.is_doubted = False
        self.waiting: set[ServerAttempt] = set()
        self.cannot_embed: set[str | None] = set()
        self.embeds: bool | None = None
        self.reattaching = 0
        self._misses = 0
        self._quiet = quiet

    @property
    def address(self) -> str:
        """Host and port, without credentials."""
        return urlsplit(self.url).netloc.rpartition("@")[2]

    @property
    def well(self) -> bool:
        return self.health is not None and self.health.ok

    @property
    def room(self) -> int:
        return self.slots - self.open

    @property
    def default_model(self) -> str | None:
        """The server's first model; None if it lists none."""
        return self.models[0] if self.models else None

    def lists(self, model: str | None) -> bool:
        """True if the server has the model; None stands for the model of a server that lists none."""
        return model in self.models or (model is None and not self.models)

    @property
    def accepts(self) -> frozenset[Kind]:
        """The kinds of content that the server takes besides text."""
        return self.server.abilities.accepts()

    @property
    def context(self) -> int | None:
        """Tokens of one conversation; None if the server does not report them."""
        return self.server.abilities.context()

    @property
    def silent(self) -> bool:
        """True if replies without a first token should move to another server."""
        return self._misses >= MISSES_TO_GIVE_UP

    @property
    def info(self) -> ServerInfo:
        detail = "not asked yet" if self.health is None else self.health.detail
        return ServerInfo(self.url, self.well, detail, list(self.models), self.slots, self.open)

    async def check(self) -> None:
        """Check the server's health. Never raises; takes a few seconds at most."""
        self.doubted.clear()
        able = self.server.abilities
        health = await able.health()
        if not health.ok and self.reattaching and self.well:
            return
        if health.ok:
            # The server may have restarted with other slots between two checks.
            self.slots = await able.slots() or SLOTS_UNTOLD
            self.models = able.models()
        self._misses = 0 if health.ok else self._misses + 1
        if health.late and self.well and not self.silent:  # it, or this process, may only be busy
            self.is_doubted = True
            return
        was, self.health = self.health, health
        if health.ok and was is not None and not was.ok:
            self.cannot_embed.clear()
            self.embeds = None
        self.is_doubted = self.doubted.is_set()
        if not self._quiet:
            self._log_change(was, health)

    def doubt(self) -> None:
        """Note that a reply broke off there: it is checked now, and chosen last until then."""
        self.doubted.set()
        self.is_doubted = True

    async def learn_embeds(self) -> None:
        """Find out whether the server makes embeddings, by asking for one of a single letter."""
        if self.embeds is not None or not self.well:
            return
        try:
            async with asyncio.timeout(PROBE_S):
                await self.server.abilities.embed(EmbedRequest(["a"], self.default_model))
            self.embeds = True
        except NotSupported:
            self.embeds = False
        except (GatewayError, TimeoutError):
            self.embeds = None  # it is asked again after the next check

    def _log_change(self, was: Health | None, health: Health) -> None:
        if not health.ok and (was is None or was.ok):
            log.warning("%s is away: %s", self.url, health.detail)
        elif health.ok and was is not None and not was.ok:
            names = ", ".join(self.models) or "any"
            log.info("%s is ready; slots: %d; models: %s", self.url, self.slots, names)
