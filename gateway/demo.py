"""`sluice demo`: the whole house on one machine, with a real broker, a real llama.cpp and one worker."""

import asyncio
import socket
from contextlib import AsyncExitStack

from rich.console import Console

from gateway.assembly import Assembled
from gateway.core.selector import Selector
from gateway.serve import listen, serve, url_of
from gateway.settings import Settings, SettingsError
from gateway.worker import serving
from transports.llama.embedded import llama_available, llama_server, tiny_model_path
from transports.mqtt.embedded import EmbeddedBroker, embedded_broker

BROKER_PORT = 1883
LLAMA_PORT = 8080
SLOTS = 4
WORKER_NAME = "demo-worker"
READY_S = 15.0
QUESTION = "Tell me about the river."


async def run_demo(settings: Settings) -> None:
    """Start everything, say how to use it, and end all of it at the first signal."""
    out = Console(highlight=False, soft_wrap=True)
    notes: list[str] = []
    listener = _listen(settings, notes)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(embedded_broker(_port(BROKER_PORT, "MQTT", notes)))
        if "llm_server_url" in settings.model_fields_set:
            model_url = settings.llm_server_url
        elif llama_available():
            model_url = await stack.enter_async_context(
                llama_server(tiny_model_path(), port=_port(LLAMA_PORT, "llama.cpp", notes), parallel=SLOTS)
            )
        else:
            raise SettingsError(
                "There is no llama.cpp wheel (xllamacpp) for this platform: start a llama.cpp server and "
                "set LLM_SERVER_URL to it."
            )
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
            _say(out, url_of(listener), changed, broker, notes)

        await serve(changed, listener, say_ready)


def _listen(settings: Settings, notes: list[str]) -> socket.socket:
    try:
        return listen(settings)
    except SettingsError:
        notes.append(f"port {settings.port} is taken, so the gateway has another")
        return listen(settings.model_copy(update={"port": 0}))


def _port(wanted: int, whose: str, notes: list[str]) -> int:
    """The wanted port if it is free, else 0 and a note."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            notes.append(f"port {wanted} is taken, so {whose} has another")
            return 0
    return wanted


async def _until_ready(modes: Selector) -> None:
    """Return when the current mode can serve: the worker's first status may come a moment after us."""
    async with asyncio.timeout(READY_S):
        while not (await modes.health()).ok:  # noqa: ASYNC110 - health is asked for, not told
            await asyncio.sleep(0.02)


def _say(out: Console, url: str, settings: Settings, broker: EmbeddedBroker, notes: list[str]) -> None:
    mode = settings.llm_comm_mode
    other = "mqtt" if mode == "sse" else "sse"
    out.print(f"Sluice is ready at {url} (mode {mode})")
    for note in notes:
        out.print(f"  ({note})")
    out.print(f"  llama.cpp  {settings.llm_server_url}")
    out.print(f"  broker     {broker.kind} at mqtt://{broker.address.host}:{broker.address.port}")
    out.print(f"  worker     {WORKER_NAME}, in front of the same llama.cpp")
    out.print(f"  database   {settings.database_url}")
    ask = f"curl -N {url}/messages/stream -H 'Content-Type: application/json' -d"
    out.print("\nAsk it something, and what was said in that session before:")
    out.print(f"""  {ask} '{{"content": "{QUESTION}"}}'""")
    out.print(f"  curl {url}/api/chatbot/sessions/1/messages")
    out.print(f"\nThe other way: LLM_COMM_MODE={other} make demo. Ctrl-C ends all of it.")
    out.file.flush()
