"""Which transport answers: the mode that operators chose."""

from collections.abc import Mapping

from gateway.contract.errors import Unprocessable
from gateway.contract.transport import (
    AdmitsRequests,
    Health,
    ListsModels,
    ReportsHealth,
    Transport,
    TransportInfo,
)


class Selector:
    """transports: by the mode that uses them ("sse", "mqtt")."""

    def __init__(
        self, transports: Mapping[str, Transport], mode: str, *, refuse_unknown_models: bool = False
    ) -> None:
        self._transports = transports
        # Asked for every request, and a runtime check of a Protocol is slow.
        self._admitting = {
            name: transport for name, transport in transports.items() if isinstance(transport, AdmitsRequests)
        }
        self._refuse_unknown_models = refuse_unknown_models
        self.mode = mode

    def route(self, model: str | None) -> tuple[Transport, TransportInfo]:
        """The transport for a new reply and what to expect of it; TransportError when none could start."""
        transport = self._transports[self.mode]
        if self._refuse_unknown_models and model is not None and model not in self.models():
            raise Unprocessable(f"No model is called {model!r} here.", {"model": "unknown"})
        admitting = self._admitting.get(self.mode)
        return transport, transport.info if admitting is None else admitting.admit(model)

    def models(self) -> tuple[str, ...]:
        """What can be asked for in the current mode, the default first."""
        transport = self._transports[self.mode]
        return tuple(transport.models()) if isinstance(transport, ListsModels) else ()

    async def health(self) -> Health:
        """Whether the current mode can serve."""
        transport = self._transports[self.mode]
        if isinstance(transport, ReportsHealth):
            return await transport.health()
        return Health(True, "always there")
