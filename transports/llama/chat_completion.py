"""Makes the body of a chat completion from a request."""

from typing import Any

from gateway.contract.content import text_of
from gateway.contract.errors import ModelRefused, Unprocessable
from gateway.contract.model_limits import check_request
from gateway.contract.requests import ChatRequest


def completion_of(request: ChatRequest, model: str | None, *, is_llama_cpp: bool) -> dict[str, Any]:
    """Return the body of a chat completion. Raises ModelRefused for what could harm a server.

    model: the name to send; None for none.
    """
    try:
        check_request(request)  # a worker's requests were not checked by our HTTP endpoints
    except Unprocessable as error:
        raise ModelRefused(str(error)) from error
    sampling = _meaningful(request.sampling.as_json())
    body: dict[str, Any] = sampling.pop("options", {})
    if is_llama_cpp:  # other servers may refuse unknown fields
        body.setdefault("return_progress", True)
    body |= sampling
    if request.raw:
        body["prompt"] = text_of(request.turns[-1].content)
    else:
        body["messages"] = [turn.as_json() for turn in request.turns]
    body["stream"] = True
    body["stream_options"] = {"include_usage": True}
    if model is not None:
        body["model"] = model
    return body


def _meaningful(sampling: dict[str, Any]) -> dict[str, Any]:
    """Drop settings that ask for nothing, which servers refuse or take for something else.

    An empty stop text ends llama.cpp's replies before their first token. vLLM and OpenAI refuse settings of
    tools without tools, which clients of other APIs may send.
    """
    said = sampling.pop("stop", "")
    if stops := said if isinstance(said, str) else [stop for stop in said if stop]:
        sampling["stop"] = stops
    if not sampling.get("tools"):
        sampling.pop("tools", None)
        if sampling.get("tool_choice") in ("auto", "none"):
            del sampling["tool_choice"]
    return sampling
