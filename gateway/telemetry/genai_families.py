"""OpenTelemetry's GenAI metrics as Prometheus families.

Names and boundaries: OpenTelemetry, semantic conventions for generative AI, "Client inference" and "Inference
token metrics" (status Development, October 2026). Dots are underscores in Prometheus, and the unit and
`_total` are appended.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from gateway.telemetry.histogram import Histogram
from gateway.telemetry.reply_totals import ReplyTotals

_OPERATION = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
_CHAT = "chat"

_DURATION = "Time from the question to the end of the generation."
_FIRST = "Time from the question to the first content, for replies that arrive token by token."
_CHUNK = "Mean time between two reads of a reply that arrives token by token, counted once for each read."


def wants_older_names(opt_in: str) -> bool:
    """Return whether OTEL_SEMCONV_STABILITY_OPT_IN, a list for all instrumentations, has `gen_ai/dup`."""
    return "gen_ai/dup" in map(str.strip, opt_in.split(","))


def newest(totals: ReplyTotals) -> Iterator[Metric]:
    """Yield the families of the newest convention."""
    yield from _durations("gen_ai_client_inference", "gen_ai_client_inference_duration_seconds", totals)
    for name, counts, help in (
        ("input", totals.input_tokens, "Prompt tokens, as the model server counts them."),
        ("output", totals.output_tokens, "Generated tokens, as the model server counts them."),
    ):
        labels = (*_OPERATION, "gen_ai_token_modality")
        family = CounterMetricFamily(f"gen_ai_client_inference_usage_{name}_tokens", help, labels=labels)
        for operation, count in counts.items():
            family.add_metric((_CHAT, *operation, "unknown"), count)
        yield family


def older(totals: ReplyTotals) -> Iterator[Metric]:
    """Yield the families under the names that the newest convention replaced."""
    yield from _durations("gen_ai_client_operation", "gen_ai_client_operation_duration_seconds", totals)
    labels = (*_OPERATION, "gen_ai_token_type")
    family = HistogramMetricFamily("gen_ai_client_token_usage", "Tokens of one reply.", labels=labels)
    for kind, sizes in (("input", totals.input_sizes), ("output", totals.output_sizes)):
        for operation, histogram in sizes.items():
            family.add_metric((_CHAT, *operation, kind), histogram.buckets(), histogram.sum)
    yield family


def _durations(prefix: str, duration: str, totals: ReplyTotals) -> Iterator[Metric]:
    yield _histograms(duration, _DURATION, totals.duration, (*_OPERATION, "error_type"))
    yield _histograms(f"{prefix}_time_to_first_chunk_seconds", _FIRST, totals.first_chunk)
    yield _histograms(f"{prefix}_time_per_output_chunk_seconds", _CHUNK, totals.output_chunk)


def _histograms(
    name: str,
    help: str,
    histograms: Mapping[tuple[str, str], Histogram] | Mapping[tuple[str, str, str], Histogram],
    labels: tuple[str, ...] = _OPERATION,
) -> Metric:
    family = HistogramMetricFamily(name, help, labels=labels)
    for values, histogram in histograms.items():
        family.add_metric((_CHAT, *values), histogram.buckets(), histogram.sum)
    return family
