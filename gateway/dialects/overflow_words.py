"""The words by which clients of model APIs know that a conversation is too long for the model."""

from gateway.contract.errors import ContextExceeded

_WORDS = "prompt is too long for the model's maximum context length"


def api_message(message: str, code: str) -> str:
    """Return an error's message as clients of OpenAI's and Anthropic's APIs need it.

    They shorten a conversation and ask again if the message has words of those servers: LangChain looks for
    "prompt is too long", CrewAI for "maximum context length". Neither knows llama.cpp's words, or the code.
    """
    if code != ContextExceeded.code or _WORDS in message:
        return message
    return f"{_WORDS}: {message}"
