"""Mode auto as a frontend and as an operator see it."""

from pathlib import Path

import pytest

from gateway.contract.errors import NoWorker, Unreachable, UpstreamFailed
from gateway.contract.events import Delta
from gateway.contract.transport import Abilities, Health, TransportInfo
from gateway.settings import Settings, SettingsError, load_settings
from tests.web.gateway_server import STREAM, served
from transports.scripted import ScriptedTransport, Step, tokens


class Workers(ScriptedTransport):
    """Scripted workers of which there are none."""

    @property
    def abilities(self) -> Abilities:
        return Abilities(health=self.health, admit=self.admit)

    def admit(self, model: str | None) -> TransportInfo:
        raise NoWorker("no MQTT worker is ready", retry_after_s=5)

    async def health(self) -> Health:
        return Health(False, "no MQTT worker is ready")


def workers(*steps: Step) -> ScriptedTransport:
    return ScriptedTransport(lambda _: steps, name="mqtt")


AWAY: list[Step] = [Unreachable("the model server cannot be reached")]


async def test_the_stream_says_who_was_expected_and_the_end_and_the_row_who_it_was(tmp_path: Path) -> None:
    async with served(
        tmp_path, lambda _: AWAY, mqtt=workers(*tokens("Hel", "lo")), llm_comm_mode="auto"
    ) as gateway:
        metadata, *chunks, done = await gateway.events({"content": "Hi"})
        (_, kept) = await gateway.messages()
        whole = (await gateway.http.post("/api/chatbot/messages", json={"content": "Hi"})).json()
    assert [chunk["content"] for chunk in chunks] == ["Hel", "lo"]
    assert (metadata["mode"], done["type"], done["mode"], kept["mode"]) == ("sse", "done", "mqtt", "mqtt")
    assert whole["assistant_message"]["content"] == "Hello"


async def test_an_error_after_the_first_text_says_whose_it_was(tmp_path: Path) -> None:
    said: list[Step] = [[Delta("Hel")], UpstreamFailed("it broke")]
    async with served(tmp_path, lambda _: AWAY, mqtt=workers(*said), llm_comm_mode="auto") as gateway:
        *_, error = await gateway.events({"content": "Hi"})
        (_, kept) = await gateway.messages()
    assert (error["type"], error["code"], error["full_content"]) == ("error", "upstream_error", "Hel")
    assert (kept["status"], kept["mode"], kept["content"]) == ("failed", "mqtt", "Hel")


async def test_the_order_is_a_setting(tmp_path: Path) -> None:
    async with served(
        tmp_path,
        lambda _: tokens("no"),
        mqtt=workers(*tokens("yes")),
        llm_comm_mode="auto",
        llm_mode_order="mqtt,sse",
    ) as gateway:
        *_, done = await gateway.events({"content": "Hi"})
    assert (done["mode"], done["full_content"]) == ("mqtt", "yes")


async def test_when_all_are_away_the_answer_is_503_and_says_why_and_when_to_come_back(tmp_path: Path) -> None:
    async with served(
        tmp_path,
        lambda _: AWAY,
        mqtt=Workers(lambda _: [], name="mqtt"),
        llm_comm_mode="auto",
        breaker_failures=2,
        breaker_open_s=3,
    ) as gateway:
        for _ in range(2):
            *_, error = await gateway.events({"content": "Hi"})
            assert error["code"] == "unreachable"
        refused = await gateway.http.post(STREAM, json={"content": "Hi"})
        ready = await gateway.http.get("/ready")
        metrics = (await gateway.http.get("/api/metrics")).json()
        sessions = (await gateway.http.get("/api/chatbot/sessions")).json()
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert 1 <= int(refused.headers["retry-after"]) <= 3
    assert "the model server cannot be reached" in refused.json()["detail"]
    assert "no MQTT worker is ready" in refused.json()["detail"]
    assert (ready.status_code, ready.json()["missing"]) == (
        503,
        ["mode auto: sse: scripted (breaker open); mqtt: no MQTT worker is ready (breaker closed)"],
    )
    assert metrics["breakers"] == {"sse": "open", "mqtt": "closed"}
    assert len(sessions) == 2


async def test_ready_tells_of_each_and_metrics_of_their_breakers(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: AWAY, mqtt=workers(*tokens("x")), llm_comm_mode="auto") as gateway:
        ready = (await gateway.http.get("/ready")).json()
        metrics = (await gateway.http.get("/api/metrics")).json()
    assert ready == {
        "status": "ready",
        "mode": "auto",
        "detail": "sse: scripted (breaker closed); mqtt: scripted (breaker closed)",
    }
    assert (metrics["mode"], metrics["breakers"]) == ("auto", {"sse": "closed", "mqtt": "closed"})


async def test_a_fixed_mode_has_no_breaker_and_asks_again_and_again(tmp_path: Path) -> None:
    async with served(tmp_path, lambda _: AWAY, mqtt=workers(*tokens("no")), breaker_failures=1) as gateway:
        codes = [(await gateway.events({"content": "Hi"}))[-1]["code"] for _ in range(3)]
        metrics = (await gateway.http.get("/api/metrics")).json()
    assert codes == ["unreachable"] * 3
    assert metrics["breakers"] == {}


async def test_without_a_broker_auto_is_sse_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with served(tmp_path, lambda _: tokens("x"), llm_comm_mode="auto") as gateway:
        *_, done = await gateway.events({"content": "Hi"})
        metrics = (await gateway.http.get("/api/metrics")).json()
    assert done["mode"] == "sse"
    assert metrics["breakers"] == {"sse": "closed"}
    assert "mode auto uses sse only: set MQTT_BROKER_HOST to use mqtt" in caplog.messages


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"llm_mode_order": "sse,smoke"},
            "LLM_MODE_ORDER=smoke is not allowed: Input should be 'sse' or 'mqtt'",
        ),
        ({"llm_mode_order": "sse,sse"}, "LLM_MODE_ORDER=sse,sse is not allowed: .* each once"),
        ({"llm_mode_order": ""}, "LLM_MODE_ORDER= is not allowed: .* each once"),
        ({"llm_mode_order": "mqtt"}, "LLM_MODE_ORDER=mqtt needs MQTT_BROKER_HOST"),
        ({"breaker_failures": "0"}, "BREAKER_FAILURES=0 is not allowed"),
        ({"breaker_open_s": "0"}, "BREAKER_OPEN_S=0 is not allowed"),
    ],
)
def test_a_wrong_order_or_breaker_stops_the_start(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(_env_file=None, llm_comm_mode="auto", **settings)


def test_the_order_is_written_with_commas() -> None:
    chosen = Settings(_env_file=None, llm_mode_order=" mqtt , sse ")
    assert chosen.llm_mode_order == ("mqtt", "sse")
