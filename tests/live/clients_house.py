"""A gateway in each mode for client packages, in front of a real llama.cpp and a scripted model."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from tests.live.brokers import running_mosquitto
from tests.live.house import House, gateway_of, until
from tests.live.llama_server import running_llama
from tests.live.looking import look_again
from tests.live.nursery import forked_sluice
from tests.live.recording_proxy import Recording, recording_proxy
from tests.live.scripted_model import scripted_model
from transports.llama.embedded_server import tiny_model_path

Result = dict[str, Any]
"""The report of one case of a client package: client, area, call, mode, and `received` or `failed`."""


class ClientsHouse:
    """gateways: one for each mode. proxies: before them, by mode; they check the order of each stream."""

    def __init__(self, gateways: Mapping[str, House], proxies: Mapping[str, tuple[str, Recording]]) -> None:
        self.gateways = gateways
        self._proxies = proxies

    def addresses(self) -> list[str]:
        """Return URLs of the gateways as the programs of tests/clients take them."""
        return [f"{mode}={url}" for mode, (url, _) in self._proxies.items()]

    def check_order(self) -> None:
        """Fail if a stream was out of order, or none was checked."""
        for _, recording in self._proxies.values():
            assert recording.wrong == []
            assert recording.checked

    async def judged(self, results: Sequence[Result]) -> list[Result]:
        """Return the results with `result`: yes, or what failed or differs from the database."""
        kept = {}
        for mode, gateway in self.gateways.items():
            await until(gateway.runs, 0)
            kept[mode] = await replies_of(gateway)
        return [{**result, "result": _judgement(result, kept[result["mode"]])} for result in results]


async def replies_of(gateway: House) -> list[dict[str, Any]]:
    """Return all replies, also those in the sessions that lists leave out."""
    replies: list[dict[str, Any]] = []
    for session in (await gateway.http.get("/api/chatbot/sessions?all=1&limit=200")).json():
        messages = await gateway.http.get(f"/api/chatbot/sessions/{session['id']}/messages?limit=1000")
        replies += [message for message in messages.json() if message["role"] == "assistant"]
    return replies


def _judgement(result: Result, kept: Sequence[dict[str, Any]]) -> str:
    if "failed" in result:
        return f"no: {result['failed']}"
    for status, text in result["received"]:
        texts = [message["content"] for message in kept if message["status"] == status]
        if status == "cancelled":
            is_there = text and any(content.startswith(text) for content in texts)
        else:
            is_there = text in texts
        if not is_there:
            return f"no: the database has no {status} reply {text!r}"
    return "yes"


@asynccontextmanager
async def clients_house(tmp_path: Path) -> AsyncIterator[ClientsHouse]:
    """Start everything: about five seconds of CPU."""
    limits = {"RATE_PER_MINUTE": "100000"}
    async with (
        running_llama(
            tiny_model_path(), "--parallel", "2", "--ctx-per-slot", "2048", "--embeddings"
        ) as llama,
        scripted_model() as scripted,
        running_mosquitto() as broker,
    ):
        address = f"{broker.address.host}:{broker.address.port}"
        urls = ("--llm-url", llama.url, "--llm-url", scripted)
        mqtt = {
            "LLM_COMM_MODE": "mqtt",
            "MQTT_BROKER_HOST": broker.address.host,
            "MQTT_BROKER_PORT": str(broker.address.port),
            **limits,
        }
        (tmp_path / "sse").mkdir()
        (tmp_path / "mqtt").mkdir()
        async with (
            forked_sluice("worker", "--name", "w", "--broker", address, *urls) as worker,
            gateway_of(
                tmp_path / "sse", f"{llama.url},{scripted}", LLM_COMM_MODE="sse", **limits
            ) as over_sse,
            gateway_of(tmp_path / "mqtt", "http://127.0.0.1:1", **mqtt) as over_mqtt,
        ):
            await worker.until_said("worker .* serves")
            gateways = {"sse": over_sse, "mqtt": over_mqtt}
            async with asyncio.timeout(120):
                for gateway in gateways.values():
                    await _until_it_has_both_models(gateway)
            async with AsyncExitStack() as stack:
                proxies = {
                    mode: await stack.enter_async_context(
                        recording_proxy(str(gateway.http.base_url).rstrip("/"))
                    )
                    for mode, gateway in gateways.items()
                }
                yield ClientsHouse(gateways, proxies)


async def _until_it_has_both_models(gateway: House) -> None:
    while len((await gateway.http.get("/v1/models")).json().get("data", ())) < 2:
        await look_again()
