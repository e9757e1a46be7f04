"""Which addresses of a model server, and of a collector, can work, and what is said of the others."""

import pytest

from gateway.contract.server_urls import collector_url, model_server_root


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        (" http://llama:8080/ ", "http://llama:8080"),
        ("http://llama:8080/v1", "http://llama:8080"),
        ("http://llama:8080/v1//", "http://llama:8080"),
        ("HTTP://llama", "http://llama"),
        ("https://[::1]:8080/v1", "https://[::1]:8080"),
        ("https://host/prefix", "https://host/prefix"),
        ("https://host/api/v1/", "https://host/api"),
        ("https://host/models/small/v1", "https://host/models/small"),
    ],
)
def test_v1_and_slashes_at_the_end_are_left_out_and_a_prefix_stays(text: str, root: str) -> None:
    assert model_server_root(text) == root


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "must begin with http"),
        ("llama:8080", "must begin with http"),
        ("ftp://llama", "must begin with http"),
        ("http://", "no valid host or port"),
        ("http://:8080", "no valid host or port"),
        ("http://a,http://b", "no valid host or port|not an address"),
        ("http://[::1", "not an address"),
        ("http://llama:99999", "not an address"),
        ("http://llama:abc", "not an address"),
        ("http://llama:0", "no valid host or port"),
        ("http://a b", "character that is not allowed"),
        ("http://llama\nX-Evil: 1", "character that is not allowed"),
        ("http://büro", "character that is not allowed"),
        ("http://user:secret@llama", "LLM_API_KEY"),
        ("http://llama:8080/?x=1", "query"),
        ("http://llama:8080?", "query"),
        ("http://llama:8080/#part", "fragment"),
        ("http://llama:8080/v1/chat/completions", "endpoint; .* such as http://llama:8080$"),
        ("http://llama:8080/v1/models", "endpoint"),
        ("http://llama:8080/completion", "endpoint"),
        ("http://llama:8080/health/", "endpoint"),
        ("http://ollama:11434/api/chat", "endpoint"),
        ("http://ollama:11434/api/generate", "endpoint"),
    ],
)
def test_an_address_that_cannot_work_is_refused_with_the_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem) as refused:
        model_server_root(text)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "http://127.0.0.1:4318", "https://user:secret@otlp.example/tenant/"])
def test_a_collectors_address_stays_as_it_is(text: str) -> None:
    assert collector_url(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("collector:4318", "grpc://collector", "http://", "http://c:0", "http://c:99999", "http://[::1"),
        *("http://a..b", "http://c?x=1", "http://c#x", "http://a b", "http://büro"),
    ],
)
def test_a_collectors_address_that_cannot_work_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="an OTLP/HTTP collector"):
        collector_url(text)
