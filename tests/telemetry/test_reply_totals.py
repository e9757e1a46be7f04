"""Totals of replies: what counts as a token timing, and how many models get names."""

import pytest

from gateway.contract.ended_reply import EndedReply
from gateway.contract.events import Delivery, Usage
from gateway.contract.record import replace
from gateway.telemetry.genai_names import MAX_MODELS, OTHER
from gateway.telemetry.histogram import Histogram
from gateway.telemetry.reply_totals import ReplyTotals

ENDED = EndedReply(
    reason="stop",
    error_code=None,
    mode="auto",
    transport="sse",
    dialect="lam",
    delivery="token",
    generated=True,
    model_asked="tiny",
    model="tiny",
    usage=Usage(7, 3, 10),
    duration_s=2.5,
    first_s=0.5,
    chunks=5,
    is_complete=True,
)
TINY = ("llama_cpp", "tiny")


def totals_of(*ended: EndedReply, models: tuple[str, ...] = ("tiny",)) -> ReplyTotals:
    totals = ReplyTotals(lambda: models)
    for each in ended:
        totals.add(each)
    return totals


def count_of(histogram: Histogram) -> float:
    return histogram.buckets()[-1][1]


def test_a_reply_of_tokens_counts_in_every_measure() -> None:
    totals = totals_of(ENDED)
    assert totals.replies == {("stop", "auto", "lam", "sse"): 1}
    assert totals.duration[*TINY, ""].sum == 2.5
    assert (totals.first_chunk[TINY].sum, count_of(totals.first_chunk[TINY])) == (0.5, 1)
    assert (totals.output_chunk[TINY].sum, count_of(totals.output_chunk[TINY])) == (2.0, 4)
    assert (totals.input_tokens[TINY], totals.output_tokens[TINY]) == (7, 3)


@pytest.mark.parametrize("delivery", ["chunked", "cached"])
def test_a_paced_or_cached_reply_has_no_token_timings(delivery: Delivery) -> None:
    ended = replace(ENDED, delivery=delivery, generated=delivery != "cached", chunks=0)
    totals = totals_of(ended)
    assert (dict(totals.first_chunk), dict(totals.output_chunk)) == ({}, {})
    assert sum(totals.replies.values()) == 1
    assert sum(totals.output_tokens.values()) == (0 if delivery == "cached" else 3)
    assert len(totals.duration) == (0 if delivery == "cached" else 1)


def test_a_reply_that_broke_off_has_an_error_and_no_time_per_chunk() -> None:
    totals = totals_of(replace(ENDED, error_code="timeout", is_complete=False, usage=None))
    assert list(totals.duration) == [(*TINY, "timeout")]
    assert count_of(totals.first_chunk[TINY]) == 1
    assert dict(totals.output_chunk) == {}
    assert totals.input_tokens == {TINY: 0}


def test_a_model_that_no_transport_lists_gets_no_name() -> None:
    totals = totals_of(*(replace(ENDED, model_asked=f"m{n}", model=f"m{n}") for n in range(1000)))
    assert list(totals.output_tokens) == [("llama_cpp", OTHER)]


def test_the_answering_model_counts_if_the_named_one_is_unknown() -> None:
    assert list(totals_of(replace(ENDED, model_asked="gpt-4")).output_tokens) == [TINY]


def test_however_many_models_workers_list_the_names_are_bounded() -> None:
    names = tuple(f"m{n}" for n in range(1000))
    totals = totals_of(*(replace(ENDED, model_asked=name) for name in names), models=names)
    assert len(totals.output_tokens) == MAX_MODELS + 1
    assert totals.output_tokens["llama_cpp", OTHER] == 3 * (1000 - MAX_MODELS)


def test_a_listed_model_keeps_its_name_when_its_worker_has_left() -> None:
    models = ["tiny"]
    totals = ReplyTotals(lambda: models)
    totals.add(ENDED)
    models.clear()
    totals.add(ENDED)
    assert totals.output_tokens == {TINY: 6}


def test_half_of_a_surrogate_pair_in_a_model_can_be_written() -> None:
    totals = totals_of(replace(ENDED, model_asked="\ud800"), models=("\ud800",))
    assert list(totals.output_tokens) == [("llama_cpp", "?")]


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (1.0, 1.5, 2.0, 9.0):
        histogram.observe(value)
    assert histogram.buckets() == [("1.0", 1), ("2.0", 3), ("+Inf", 4)]
