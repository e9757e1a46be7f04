"""Builds the traces from the settings. Without OTEL_EXPORTER_OTLP_ENDPOINT nothing of them is imported."""

from collections.abc import Callable, Collection

from gateway.contract.traces import NO_TRACES, Traces
from gateway.settings import Settings, SettingsError
from gateway.version import VERSION

_WITHOUT_EXTRA = (
    "OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry: pip install 'sluice-gateway[otel]', or leave it empty"
)


def traces_of(
    settings: Settings,
    service: str,
    instance: str,
    known_models: Callable[[], Collection[str]] = tuple,
) -> Traces:
    """Return the traces of this process. Raises SettingsError.

    Args:
        settings: with the collector.
        service: name of the program in traces.
        instance: name of this process of it.
        known_models: returns the models that the transports list.
    """
    if not settings.otel_exporter_otlp_endpoint:
        return NO_TRACES
    try:
        from gateway.telemetry.traces.exporting import exported_traces
    except ImportError as error:
        raise SettingsError(f"{_WITHOUT_EXTRA} ({error})") from error
    try:
        return exported_traces(
            settings.otel_exporter_otlp_endpoint,
            settings.otel_exporter_otlp_headers,
            service=service,
            instance=instance,
            version=VERSION,
            known_models=known_models,
        )
    except (ImportError, RuntimeError, ValueError) as error:
        raise SettingsError(f"An OTEL_… variable is not allowed: {error}") from error
