"""Checks each model server of LLM_SERVER_URL: its health, its models, and a reply of one token."""

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import urlsplit
from uuid import uuid4

from gateway.commands.doctor.findings import Finding, failure, ok, skipped, warning
from gateway.contract.errors import GatewayError, TimedOut
from gateway.contract.requests import ChatRequest, Sampling, Turn
from gateway.settings import Settings
from transports.llama.transport import LlamaTransport

REPLY_S = 30.0


async def model_servers(settings: Settings) -> Sequence[Finding]:
    """Check all servers at once."""
    if settings.llm_comm_mode == "mqtt":
        return [skipped("LLM_COMM_MODE=mqtt does not use LLM_SERVER_URL")]
    found = await asyncio.gather(*(_server(settings, url) for url in settings.model_servers))
    others = any(finding.level == "ok" for finding in found)
    if not others:
        return found
    return [warning(one.detail, one.fix) if one.level == "failure" else one for one in found]


async def _server(settings: Settings, url: str) -> Finding:
    transport = LlamaTransport(
        url, api_key=settings.llm_api_key or None, idle_s=REPLY_S, connect_s=settings.llm_connect_s
    )
    health = await transport.health()
    if not health.ok:
        return failure(f"{url}: {health.detail}", _mend(url, health.detail))
    async with transport.running():
        return await _one_token(url, transport)


async def _one_token(url: str, transport: LlamaTransport) -> Finding:
    request = ChatRequest(uuid4().hex, [Turn("user", "Hi")], Sampling(max_tokens=1), deadline_s=REPLY_S)
    models = ", ".join(transport.models()[:5])
    began = time.monotonic()
    try:
        async with asyncio.timeout(REPLY_S):
            await transport.answer(request, lambda _: None)
    except (TimeoutError, TimedOut):
        return warning(
            f"{url} made no token within {REPLY_S:g} s: it is busy, or too slow for its model",
            f"curl {url}/slots; start llama-server with more slots (--parallel) or a smaller model",
        )
    except GatewayError as error:
        if not models:
            return failure(
                f"{url} answers, and has no model: {error}",
                "llama-server -m MODEL.gguf, or: ollama pull MODEL",
            )
        return failure(
            f"{url} lists {models}, and a reply of one token fails: {error}",
            f"curl {url}/v1/chat/completions -H 'Content-Type: application/json' "
            """-d '{"messages":[{"role":"user","content":"Hi"}],"max_tokens":1}'""",
        )
    return ok(f"{url} replies after {time.monotonic() - began:.2f} s; models: {models or '(unnamed)'}")


def _mend(url: str, problem: str) -> str:
    if "LLM_API_KEY" in problem:
        return (
            "LLM_API_KEY=… in the environment or .env: the key with which the server was started (--api-key)"
        )
    if "certificate" in problem:
        return "SSL_CERT_FILE=… in the environment: a PEM file with the authority of its certificate"
    if "loading" in problem:
        return f"curl {url}/health until it says ok; a large model takes minutes"
    if "404" in problem or "status" in problem:
        return f"curl -i {url}/v1/models, and correct LLM_SERVER_URL: it must be the server's address alone"
    port = urlsplit(url).port
    return f"llama-server -m MODEL.gguf{f' --port {port}' if port else ''}, or correct LLM_SERVER_URL"
