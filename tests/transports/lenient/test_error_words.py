"""Errors of model servers keep their words, and a conversation that is too long is known in every spelling."""

# ruff: noqa: E501  - the servers' own sentences

from typing import Any

import pytest

from gateway.contract.errors import ContextExceeded, ModelRefused, Overloaded, UpstreamFailed
from transports.lenient.error_words import (
    MAX_MESSAGE_CHARS,
    error_message,
    says_context_overflow,
    upstream_error,
)
from transports.llama.failures import refusal

OVERFLOWS = [
    pytest.param("the request exceeds the available context size, try increasing it", id="llama.cpp"),
    pytest.param(
        "request (8020 tokens) exceeds the available context size (2048 tokens), try increasing it",
        id="llama.cpp 2026",
    ),
    pytest.param("prompt (9000 tokens) too long; max context is 8192", id="counted prompt"),
    pytest.param("Prompt exceeds max length", id="Zhipu"),
    pytest.param("Prompt tokens limit exceeded: 9000 > 8192", id="OpenRouter's prompt limit"),
    pytest.param(
        "The total number of tokens in the prompt exceeds the limit: 32768", id="a limit of the prompt"
    ),
    pytest.param("Context size has been exceeded.", id="llama.cpp while it writes, LM Studio"),
    pytest.param("Requested tokens (5000) exceed context window of 4096", id="llama-cpp-python"),
    pytest.param(
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens (4000 in the messages, 1000 in the completion). Please reduce the length of the messages or completion.",
        id="vLLM, OpenAI",
    ),
    pytest.param(
        "The decoder prompt (length 5001) is longer than the maximum model length of 4096. Make sure that `max_model_len` is no smaller than the number of text tokens.",
        id="vLLM V1",
    ),
    pytest.param(
        "This model's maximum context length is 262144 tokens. However, you requested 0 output tokens and your prompt contains at least 262145 input tokens, for a total of at least 262145 tokens.",
        id="vLLM 2026",
    ),
    pytest.param(
        "'max_tokens' or 'max_completion_tokens' is too large: 5000. This model's maximum context length is 4096 tokens and your request has 30 input tokens (5000 > 4096 - 30).",
        id="vLLM max_tokens",
    ),
    pytest.param(
        "Your input exceeds the context window of this model. Please adjust your input and try again.",
        id="OpenAI responses",
    ),
    pytest.param("the input length exceeds the context length", id="Ollama"),
    pytest.param("prompt too long; exceeded max context length by 4 tokens", id="Ollama chat"),
    pytest.param(
        "Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded with context length of only 7866 tokens, which is not enough.",
        id="LM Studio",
    ),
    pytest.param(
        "Reached context length of 4096 tokens with model (arch: qwen3vlmoe) that does not currently support mid-generation context overflow.",
        id="LM Studio while it writes",
    ),
    pytest.param("Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)", id="LM Studio 0.4"),
    pytest.param(
        "The number of tokens to keep from the initial prompt is greater than the context length (n_keep: 6184>= n_ctx: 4096)",
        id="LM Studio n_keep",
    ),
    pytest.param(
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens and 1000 `max_new_tokens`",
        id="TGI",
    ),
    pytest.param("Input validation error: `inputs` must have less than 1024 tokens. Given: 1168", id="TGI 1"),
    pytest.param(
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).", id="SGLang"
    ),
    pytest.param(
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You requested a total of 5000 tokens.",
        id="SGLang total",
    ),
    pytest.param(
        "Input length (265330) exceeds model's maximum context length (262144).", id="SGLang parentheses"
    ),
    pytest.param(
        "Input length (5000 tokens) exceeds the maximum allowed length (4096 tokens). Use a shorter input or enable --allow-auto-truncate.",
        id="SGLang allowed",
    ),
    pytest.param("Prompt length 5000 is greater than max_seq_len 4096", id="TabbyAPI"),
    pytest.param("Context length 5000 is greater than max_seq_len 4096", id="TabbyAPI context"),
    pytest.param(
        "This model maximum context length is 4096 tokens. However, your messages resulted in over 5000 tokens and max_tokens is 200.",
        id="text-generation-webui",
    ),
    pytest.param("Prompt is too long for the context size", id="koboldcpp"),
    pytest.param(
        "Request prompt has 5000 tokens in total, larger than the model input length limit 4096.", id="MLC"
    ),
    pytest.param("Prompt length (5000) exceeds maximum input length (4096).", id="TensorRT-LLM"),
    pytest.param(
        "The sum of prompt length (5000.0), query length (0) should not exceed max_num_tokens (4096)",
        id="TensorRT-LLM sum",
    ),
    pytest.param(
        "Prompt too long: 5152 tokens exceeds max_seq_len 2048 (leave room for output tokens)", id="Atlas"
    ),
    pytest.param(
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        id="Mistral",
    ),
    pytest.param("Please reduce the length of the messages or completion.", id="Groq"),
    pytest.param(
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.", id="xAI"
    ),
    pytest.param(
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).", id="Gemini"
    ),
    pytest.param("prompt is too long: 213462 tokens > 200000 maximum", id="Anthropic"),
    pytest.param(
        "input length and `max_tokens` exceed context limit: 170636 + 34048 > 200000, decrease input length or `max_tokens` and try again",
        id="Anthropic with max_tokens",
    ),
    pytest.param("Input is too long for requested model.", id="Bedrock"),
    pytest.param(
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000",
        id="Cohere",
    ),
    pytest.param(
        "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)", id="Kimi"
    ),
    pytest.param("invalid params, context window exceeds limit", id="MiniMax"),
    pytest.param("Range of input length should be [1, 6000]", id="DashScope"),
    pytest.param(
        "Input length 131393 exceeds the maximum allowed input length of 131040 tokens.", id="Poolside"
    ),
    pytest.param("prompt token count of 70000 exceeds the limit of 64000", id="Copilot"),
]
OTHERS = [
    "Too many tokens, please wait before trying again.",
    "out of memory",
    "Rate limit reached for model in organization on tokens per min (TPM): Limit 40000, Requested 50000. Please reduce the length of the messages",
    "Too many tokens, please wait before trying again: throttled",
    "You exceeded your current quota, please check your plan",
    "Context could not be created",
    "The server is overloaded: too many requests",
    "temperature must be less than 2",
    "the model server broke off in the middle of the reply",
    "Input should be a valid string",
    "max_tokens must be at least 1, got 0",
    "Failed to parse grammar: unexpected end of input",
]


@pytest.mark.parametrize("message", OVERFLOWS)
@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_a_conversation_that_is_too_long_is_known_in_every_spelling(message: str, status: int) -> None:
    for told in (message, {"message": message}, {"error": {"message": message, "code": status}}):
        error = upstream_error(told)
        assert type(error) is ContextExceeded
        assert str(error) == message
    body = ('{"error":{"message":"' + message.replace('"', "'") + '"}}').encode()
    assert type(refusal(status, None, body)) is ContextExceeded


@pytest.mark.parametrize("message", OTHERS)
def test_what_only_looks_alike_is_another_error(message: str) -> None:
    assert not says_context_overflow({"error": {"message": message}})
    assert type(upstream_error(message)) is UpstreamFailed


@pytest.mark.parametrize(
    "code", ["context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"]
)
@pytest.mark.parametrize("field", ["code", "type"])
def test_a_code_is_enough(code: str, field: str) -> None:
    assert type(upstream_error({"error": {field: code}})) is ContextExceeded


def test_a_limit_of_requests_stays_one_whatever_it_says_of_tokens() -> None:
    body = b'{"error":{"message":"Request too large: reduce the length of the messages"}}'
    assert type(refusal(429, None, body)) is Overloaded
    assert type(refusal(404, None, b'{"error":"no such model"}')) is ModelRefused


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("just text", "just text"),
        ({"message": "m", "error": "e"}, "m"),
        ({"message": None, "error": "e"}, "e"),
        ({"error": {"error": {"detail": "deep"}}}, "deep"),
        ([None, {"msg": "in a list"}], "in a list"),
        ({"message": {"not": "text"}}, None),
        ({"message": "  "}, None),
        (7, None),
        ({"message": "half \ud83d"}, "half \ufffd"),
        ({"message": "x" * 9_999}, "x" * MAX_MESSAGE_CHARS),
    ],
)
def test_the_words_are_found_in_any_shape(error: Any, message: str | None) -> None:
    assert error_message(error) == message


def test_an_error_of_any_depth_is_read() -> None:
    error: Any = "deep"
    for _ in range(500):
        error = {"error": error}
    assert str(upstream_error(error)) == "the model server failed without saying why"
