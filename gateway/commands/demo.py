"""`sluice demo`: gateway, MQTT broker, llama.cpp and one worker on one machine."""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import TypeVar

from rich.console import Console

from gateway.assembly import Assembled
from gateway.commands.demo_sessions import DemoSessions, prepare_sessions
from gateway.commands.worker import serving
from gateway.contract.secrets import without_secrets
from gateway.core.mode_selector import ModeSelector
from gateway.process.serve import listen, serve, url_of
from gateway.settings import Settings, SettingsError
from transports.llama.embedded_server import llama_available, llama_server, tiny_model_path
from transports.llama.transport import LlamaTransport
from transports.mqtt.embedded_broker import EmbeddedBroker, broker_available, embedded_broker

T = TypeVar("T")

BROKER_PORT = 1883
LLAMA_PORT = 8080
SLOTS = 4
TOKENS_PER_S = 40
"""The toy model generates thousands of tokens per second, too fast to watch."""
WORKER_NAME = "demo-worker"
READY_S = 60.0
QUESTION = "Tell me about the river."
INSTALL = "pip install 'sluice-gateway[demo]'"


async def run_demo(settings: Settings) -> None:
    """Start all parts, print how to use them, and end all of them at the first signal."""
    out = Console(highlight=False, soft_wrap=True)
    notes: list[str] = []
    is_toy = "llm_server_url" not in settings.model_fields_set
    if not broker_available():
        raise SettingsError(f"sluice demo needs an MQTT broker: run {INSTALL}, or install mosquitto.")
    if is_toy and not llama_available():
        raise SettingsError(
            f"sluice demo needs llama.cpp: run {INSTALL}, or start a model server and set LLM_SERVER_URL."
        )
    if not is_toy:
        await _check_model_server(settings)
    listener = _listen(settings, notes)
    url = url_of(listener)
    async with AsyncExitStack() as stack:
        broker = await _on_usual_port(stack, "the broker", BROKER_PORT, embedded_broker, notes)
        model_url = settings.llm_server_url
        if is_toy:
            model_url = await _on_usual_port(stack, "llama.cpp", LLAMA_PORT, _toy_model, notes)
        changed = settings.model_copy(
            update={
                "llm_server_url": model_url,
                "mqtt_broker_host": broker.address.host,
                "mqtt_broker_port": broker.address.port,
            }
        )
        await stack.enter_async_context(serving(changed, WORKER_NAME, SLOTS))

        async def say_ready(assembled: Assembled) -> None:
            await _until_ready(assembled.modes)
            gateway, mode = assembled.gateway, assembled.modes.mode
            prepare = None if gateway.keys.closed else partial(prepare_sessions, gateway)
            await _say_ready(out, url, mode, changed, broker, prepare, is_toy, notes)

        await serve(changed, listener, say_ready)


async def _check_model_server(settings: Settings) -> None:
    """Raise SettingsError if a model server of LLM_SERVER_URL cannot serve now."""
    for url in settings.model_servers:
        health = await LlamaTransport(url, api_key=settings.llm_api_key or None).health()
        if not health.ok:
            raise SettingsError(
                f"LLM_SERVER_URL={url}: {health.detail}. "
                "Start it first, or unset LLM_SERVER_URL: sluice demo then starts a toy model."
            )


def _listen(settings: Settings, notes: list[str]) -> socket.socket:
    try:
        return listen(settings)
    except SettingsError:
        notes.append(f"port {settings.port} is in use, so the gateway uses another")
        return listen(settings.model_copy(update={"port": 0}))


def _toy_model(port: int) -> AbstractAsyncContextManager[str]:
    return llama_server(tiny_model_path(), port=port, parallel=SLOTS, tokens_per_s=TOKENS_PER_S)


async def _on_usual_port(
    stack: AsyncExitStack,
    name: str,
    port: int,
    start: Callable[[int], AbstractAsyncContextManager[T]],
    notes: list[str],
) -> T:
    """Start a part on this port, or on any free port if that fails."""
    try:
        return await stack.enter_async_context(start(port))
    except RuntimeError:
        started = await stack.enter_async_context(start(0))
        notes.append(f"port {port} is in use, so {name} uses another")
        return started


async def _until_ready(modes: ModeSelector) -> None:
    """Wait until the current mode can serve: the worker announces itself shortly after the gateway starts.

    Raises SettingsError after READY_S.
    """
    health = await modes.health()
    try:
        async with asyncio.timeout(READY_S):
            while not health.ok:
                await asyncio.sleep(0.02)
                health = await modes.health()
    except TimeoutError:
        raise SettingsError(f"mode {modes.mode} is not ready after {READY_S:g} s: {health.detail}") from None


async def _say_ready(
    out: Console,
    url: str,
    mode: str,
    settings: Settings,
    broker: EmbeddedBroker,
    prepare: Callable[[], Awaitable[DemoSessions]] | None,
    is_toy: bool,
    notes: list[str],
) -> None:
    """Print how to use the demo. `prepare` is None if the database has API keys: requests then need one."""
    # Before the first output: a script may use the printed commands at once.
    sessions = None if prepare is None else await prepare()
    out.print(f"Sluice is ready at {url} (mode {mode})")
    _say_what_runs(out, settings, broker, is_toy, notes)
    _say_what_to_type(out, url, sessions, mode, is_toy)


def _say_what_runs(
    out: Console, settings: Settings, broker: EmbeddedBroker, is_toy: bool, notes: list[str]
) -> None:
    for note in notes:
        out.print(f"  ({note})")
    if is_toy:
        out.print(f"  llama.cpp  {settings.llm_server_url} with a toy model of 1 MB, which writes nonsense;")
        out.print(f"             it is slowed to {TOKENS_PER_S} tokens/s, so that you can see it stream")
    else:
        out.print(f"  model      {without_secrets(settings.llm_server_url)} (LLM_SERVER_URL)")
    out.print(f"  broker     {broker.kind} at mqtt://{broker.address.host}:{broker.address.port}")
    out.print(f"  worker     {WORKER_NAME}, in front of the same model")
    out.print(f"  database   {without_secrets(settings.database_url)}")


def _say_what_to_type(out: Console, url: str, sessions: DemoSessions | None, mode: str, is_toy: bool) -> None:
    """Print commands to copy. `sessions` is None if the database has API keys: requests then need one."""
    in_make = "MAKELEVEL" in os.environ
    demo, sluice = ("make demo", ".venv/bin/sluice") if in_make else ("sluice demo", "sluice")
    json = "-H 'Content-Type: application/json'"
    if sessions is None:
        key = "-H 'Authorization: Bearer YOUR_API_KEY'"
        out.print("\nThis database has API keys. Ask with one, and list what was asked:")
        out.print(f"""  curl -N {url}/messages/stream {key} {json} -d '{{"content": "{QUESTION}"}}'""")
        out.print(f"  curl {url}/api/chatbot/sessions {key}")
    else:
        body = f'{{"content": "{QUESTION}", "session_id": {sessions.ask_in}}}'
        out.print("\nAsk something, and read what was said in that session:")
        out.print(f"  curl -N {url}/messages/stream {json} -d '{body}'")
        out.print(f"  curl {url}/api/chatbot/sessions/{sessions.ask_in}/messages")
    out.print(f"or talk to it: {sluice} chat --url {url}")
    if sessions is not None:
        out.print("\nA room of people, a device and the model: open it in two windows, and play the device.")
        out.print(f"  {url}/#/chat/{sessions.room}")
        out.print(f"For other clients (socket.io, WebSocket, MQTT) it is the room {sessions.room_key}.")
    if is_toy:
        out.print("\nYour own model instead of the toy: start one of these, then the demo with its address:")
        out.print(f"  llama-server -m model.gguf --port 8081    LLM_SERVER_URL=http://127.0.0.1:8081 {demo}")
        out.print(f"  ollama serve                              LLM_SERVER_URL=http://127.0.0.1:11434 {demo}")
    other = "sse" if mode == "mqtt" else "mqtt"
    out.print(f"\nThe other way to the model: LLM_COMM_MODE={other} {demo}. Ctrl-C ends all of it.")
    out.file.flush()
