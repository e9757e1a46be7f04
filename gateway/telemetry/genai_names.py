"""Names of providers and models in metrics and traces."""

from collections.abc import Callable, Collection

PROVIDERS = {"sse": "llama_cpp", "mqtt": "sluice_mqtt"}
"""`gen_ai.provider.name` by transport."""

OTHER = "_OTHER"
"""Name of every model that is not known: OpenTelemetry's word for values without a name."""

MAX_MODELS = 64
"""Maximum number of names; further ones are OTHER. In the metrics, each takes some 50 time series."""

MAX_MODEL_CHARS = 128


class ModelNames:
    """Names those models that a transport lists: callers could otherwise make any number of names.

    known_models: returns the models that the transports list.
    """

    def __init__(self, known_models: Callable[[], Collection[str]]) -> None:
        self._known_models = known_models
        self._names: dict[str, str] = {}

    def of(self, asked: str | None, served: str | None) -> str:
        """Return the model that the client named, or else that the server named, if a transport lists it."""
        for name in (asked, served):
            if name is None:
                continue
            if name in self._names:
                return self._names[name]
            if len(self._names) < MAX_MODELS and name in self._known_models():
                return self._names.setdefault(name, printable(name[:MAX_MODEL_CHARS]))
        return OTHER


def printable(text: str) -> str:
    """Return text that UTF-8 can hold: half of a surrogate pair becomes `?`."""
    return text.encode(errors="replace").decode()
