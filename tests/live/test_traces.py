"""One trace through real programs: `sluice serve`, Mosquitto, `sluice worker` and llama.cpp."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.live.brokers import Mosquitto, requires_mosquitto, running_mosquitto
from tests.live.llama_server import requires_llama, running_llama
from tests.live.nursery import forked_sluice
from tests.live.programs import ROOT, running_program, sluice
from tests.live.scripted_model import scripted_model
from tests.live.test_devices import device_at
from tests.live.test_gateway import Gateway, running_gateway
from tests.telemetry.collector import Collector, running_collector
from transports.llama.embedded_server import tiny_model_path

pytestmark = pytest.mark.live

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Overheard:
    """A proxy in front of a model server. asked: everything that its clients have sent."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._there = parts.hostname, parts.port
        self.url = ""
        self.asked = b""

    def traces(self) -> list[str]:
        """Return the `traceparent`s of all requests, without their flags."""
        return [found.decode() for found in re.findall(rb"(?i)\r\ntraceparent: (\S{52})-", self.asked)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, to_server = await asyncio.open_connection(*self._there)

        async def pass_on() -> None:
            with suppress(ConnectionError):
                while piece := await reader.read(65536):
                    self.asked += piece
                    to_server.write(piece)
            to_server.close()

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(pass_on())
                with suppress(ConnectionError):
                    while piece := await there.read(65536):
                        writer.write(piece)
                writer.close()
        finally:
            to_server.close()
            writer.close()


@asynccontextmanager
async def overheard(url: str) -> AsyncIterator[Overheard]:
    proxy = Overheard(url)
    async with asyncio.TaskGroup() as group:
        serving: list[asyncio.Task[None]] = []
        server = await asyncio.start_server(
            lambda reader, writer: serving.append(group.create_task(proxy.serve(reader, writer))),
            "127.0.0.1",
            0,
        )
        proxy.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield proxy
            for task in serving:
                task.cancel()


def sent_to(collector: Collector) -> dict[str, str]:
    """Return the settings of a program that sends its spans there soon."""
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}


@asynccontextmanager
async def traced_house(
    tmp_path: Path, collector: Collector, *, protocol: str = "auto"
) -> AsyncIterator[tuple[Gateway, Mosquitto, Overheard]]:
    """A gateway in mode mqtt, a broker, a worker and llama.cpp."""
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(running_mosquitto())
        llama = await stack.enter_async_context(running_llama(tiny_model_path(), "--alias", "tiny"))
        proxy = await stack.enter_async_context(overheard(llama.url))
        at = {"MQTT_BROKER_HOST": "127.0.0.1", "MQTT_BROKER_PORT": str(broker.address.port)}
        settings = {**sent_to(collector), **at, "MQTT_PROTOCOL": protocol}
        command = ("worker", "--name", "w", "--llm-url", proxy.url)
        worker = await stack.enter_async_context(forked_sluice(*command, cwd=None, **settings))
        await worker.until_said("worker w serves")
        gateway = await stack.enter_async_context(
            running_gateway(tmp_path, LLM_COMM_MODE="mqtt", GATEWAY_NAME="gateway", **settings)
        )
        await gateway.until_ready()
        yield gateway, broker, proxy


@requires_mosquitto()
@requires_llama()
@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_one_trace_from_the_caller_to_llama_cpp(tmp_path: Path, protocol: str) -> None:
    async with (
        asyncio.timeout(120),
        running_collector() as collector,
        traced_house(tmp_path, collector, protocol=protocol) as (gateway, _, proxy),
    ):
        headers = {"traceparent": CALLER}
        answer = await gateway.http.post(
            "/v1/chat/completions",
            json={"model": "tiny", "messages": [{"role": "user", "content": "SECRET"}], "max_tokens": 8},
            headers=headers,
        )
        assert answer.status_code == 200, answer.text
        await collector.until(lambda spans: len(spans) >= 5)
    chain = [collector.named(name) for name in ("chat tiny", "dispatch mqtt", "serve")]
    posts = {span.service: span for span in collector.spans if span.name == "POST /v1/chat/completions"}
    whole = [posts["sluice-gateway"], *chain, posts["sluice-worker"]]
    assert len(collector.spans) == len(whole)
    assert {span.trace for span in whole} == {CALLER[3:35]}
    assert [span.parent for span in whole] == [CALLER[36:52], *(span.id for span in whole[:-1])]
    assert [span.service for span in whole] == ["sluice-gateway"] * 3 + ["sluice-worker"] * 2
    assert [span.kind for span in whole] == ["server", "client", "client", "server", "client"]
    assert not any(span.failed for span in whole)
    assert proxy.traces() == [whole[-1].place]
    reply = whole[1].attributes
    assert reply["gen_ai.provider.name"] == "sluice_mqtt"
    assert (reply["gen_ai.request.model"], reply["gen_ai.response.model"]) == ("tiny", "tiny")
    assert reply["gen_ai.usage.output_tokens"] == answer.json()["usage"]["completion_tokens"]
    assert whole[3].attributes["sluice.worker"] == "w"
    assert b"SECRET" not in collector.received


@requires_mosquitto()
@requires_llama()
async def test_a_devices_chat_is_a_trace(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_collector() as collector,
        traced_house(tmp_path, collector) as (_, broker, proxy),
        device_at(broker.address) as robot,
    ):
        robot.chat("c1", "Tell me about the river.")
        await robot.until("end")
        await collector.until(lambda spans: len(spans) >= 4)
    names = ["chat tiny", "dispatch mqtt", "serve", "POST /v1/chat/completions"]
    chain = [collector.named(name) for name in names]
    assert [span.parent for span in chain] == ["", *(span.id for span in chain[:-1])]
    assert chain[0].attributes["sluice.dialect"] == "device"
    assert proxy.traces() == [chain[-1].place]


@requires_llama()
async def test_mode_sse_asks_llama_cpp_below_its_dispatch(tmp_path: Path) -> None:
    async with (
        asyncio.timeout(120),
        running_collector() as collector,
        running_llama(tiny_model_path(), "--alias", "tiny") as llama,
        overheard(llama.url) as proxy,
        running_gateway(tmp_path, LLM_SERVER_URL=proxy.url, **sent_to(collector)) as gateway,
    ):
        await gateway.until_ready()
        await gateway.ask("Hi")
        assert await gateway.program.end(signal.SIGTERM) == 0
        names = ["POST /messages/stream", "chat tiny", "dispatch sse", "POST /v1/chat/completions"]
        chain = [collector.named(name) for name in names]
    assert [span.parent for span in chain] == ["", *(span.id for span in chain[:-1])]
    assert [span.kind for span in chain] == ["server", "client", "internal", "client"]
    port = urlsplit(proxy.url).port
    assert (chain[3].attributes["server.address"], chain[3].attributes["server.port"]) == ("127.0.0.1", port)
    assert proxy.traces() == [chain[-1].place]


async def test_without_the_setting_nothing_of_it_is_imported(tmp_path: Path) -> None:
    """FastAPI itself imports OpenTelemetry's API, not its SDK."""
    script = (
        "import sys; sys.modules['redis'] = None  # it imports the SDK itself, and throttled imports it\n"
        "from gateway.assembly import assemble; from gateway.settings import Settings; "
        "assemble(Settings(_env_file=None)); print(sorted(sys.modules))"
    )
    command = (sys.executable, "-c", script)
    async with running_program(*command, cwd=tmp_path, PYTHONPATH=str(ROOT)) as one:
        assert await one.ended() == 0, one.said
    loaded = set(re.findall(r"'([\w.]+)'", one.said))
    assert "gateway.web.app" in loaded
    ours = ("gateway.telemetry.traces", "opentelemetry.sdk", "opentelemetry.exporter", "opentelemetry.proto")
    assert [name for name in loaded if name.startswith((*ours, "google.protobuf"))] == []


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"},
            "OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317 is not allowed: it must be the address of an "
            "OTLP/HTTP collector, such as http://127.0.0.1:4318",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not allowed: Input should be 'http/protobuf'",
        ),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_BSP_MAX_QUEUE_SIZE": "0"},
            "An OTEL_… variable is not allowed: max_queue_size must be a positive integer.",
        ),
    ],
)
@pytest.mark.parametrize("command", [("serve",), ("worker", "--name", "w", "--broker", "127.0.0.1:1")])
async def test_a_wrong_setting_is_one_line(
    tmp_path: Path, command: tuple[str, ...], settings: dict[str, str], line: str
) -> None:
    async with (
        asyncio.timeout(120),
        forked_sluice(*command, cwd=None, PORT="0", **settings) as program,
    ):
        assert await program.ended() != 0
    assert [said for said in program.said.splitlines() if "OTEL" in said] == [f"sluice: {line}"], program.said


async def test_the_setting_without_the_extra_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['opentelemetry.sdk'] = None\n")
    settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "PYTHONPATH": str(tmp_path)}
    async with (
        asyncio.timeout(120),
        running_program(*sluice("serve"), cwd=None, PORT="0", **settings) as program,
    ):
        assert await program.ended() != 0
    told = [said for said in program.said.splitlines() if "OTEL" in said]
    assert told == program.said.splitlines()
    assert told[0].startswith(
        "sluice: OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry: pip install 'sluice-gateway[otel]', or "
        "leave it empty"
    )


async def test_the_commands_of_the_page_send_traces(tmp_path: Path) -> None:
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    block = page.partition("\n## Traces\n")[2].partition("```sh\n")[2].partition("```")[0]
    install, export, serve = block.splitlines()
    assert (install, serve) == ("pip install 'sluice-gateway[otel]'", "sluice serve")
    name, _, url = export.removeprefix("export ").partition("=")
    assert url == "http://127.0.0.1:4318"
    async with asyncio.timeout(120), running_collector() as collector, scripted_model() as model:
        settings = {name: collector.url, "LLM_SERVER_URL": model}
        async with running_gateway(tmp_path, **settings) as gateway:
            await gateway.ask("Hi")
            assert await gateway.program.end(signal.SIGTERM) == 0
    names = [span.name.split()[0] for span in collector.spans]
    assert sorted(names) == ["POST", "POST", "chat", "dispatch"]
