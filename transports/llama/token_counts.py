"""Counts the tokens of a conversation with llama.cpp, which generates nothing for it."""

from typing import Any

import msgspec

from gateway.contract.accepted_kinds import kinds_of
from gateway.contract.errors import NotSupported, ProtocolViolation
from gateway.contract.requests import ChatRequest
from transports.lenient.loose_json import UNREADABLE
from transports.llama.client import ModelServerClient
from transports.llama.embeddings import answer_of


class _Prompt(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[Any]


async def tokens_in(client: ModelServerClient, request: ChatRequest, body: dict[str, Any]) -> int:
    """Return the number of tokens of the prompt that the chat template makes of a chat completion's body.

    Raises NotSupported for images and sound, and if the server is not llama.cpp's.
    """
    if kinds_of(request):
        raise NotSupported("Tokens of images and sound cannot be counted.")
    written = await answer_of(client, b"/apply-template", body, request.trace)
    try:
        prompt = msgspec.json.decode(written, type=_Prompt).prompt
        asked = {"content": prompt, "add_special": True, "parse_special": True}
        counted = await answer_of(client, b"/tokenize", asked, request.trace)
        return len(msgspec.json.decode(counted, type=_Tokens).tokens)
    except UNREADABLE as exc:
        raise ProtocolViolation("the model server's count of tokens was not understood") from exc
