"""deploy/compose.cluster.yml with a real Docker: gateways are killed in turn while a reply is read."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import free_port
from tests.live.test_compose import BUILD_S, COMMAND_S, ROOT, compose_command, run

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        os.environ.get("SLUICE_COMPOSE_TEST") != "1",
        reason="builds images and starts containers: set SLUICE_COMPOSE_TEST=1 on a machine with Docker",
    ),
]

GATEWAYS = ("gateway-1", "gateway-2", "gateway-3")
READ_S = 120
ENDLESS: dict[str, Any] = {"options": {"ignore_eos": True}}


class Cluster:
    """The services of compose.cluster.yml, in a separate project and on a separate port."""

    def __init__(self, override: Path) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._override = override

    def compose(self, *arguments: str, timeout_s: float = COMMAND_S) -> str:
        files = ["-f", str(ROOT / "deploy/compose.cluster.yml"), "-f", str(self._override)]
        project = ["--project-directory", str(ROOT), "-p", f"sluice-cluster-{self.port}"]
        return run(
            *compose_command(),
            *files,
            *project,
            *arguments,
            timeout_s=timeout_s,
            SLUICE_PORT=str(self.port),
            POSTGRES_PASSWORD="long-and-secret",
        )

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=30) as response:  # noqa: S310 - our own http URL
            return json.load(response)

    def sql(self, statement: str) -> str:
        command = ["psql", "-h", "postgres", "-U", "sluice", "-XqtAc", statement]
        return self.compose("exec", "-T", "-e", "PGPASSWORD=long-and-secret", "postgres", *command).strip()

    def owner_of(self, stream_id: str) -> str:
        """Return the name of the gateway that makes a reply."""
        named = f"SELECT owner FROM messages WHERE stream_id = '{stream_id}'"  # noqa: S608 - of this test
        return self.sql(named).partition("/")[0]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Build and start it. SLUICE_BUILD_NETWORK=host: for builds that reach no package index."""
    build = {"network": os.environ.get("SLUICE_BUILD_NETWORK", "default")}
    sluice = {"image": "sluice-gateway:cluster-test", "build": build}
    # A slow machine takes minutes to kill and start containers, and the reply must not end before.
    program = ["/opt/llama/bin/python", "/opt/llama/server_program.py", "--host", "0.0.0.0"]
    slow = [*program, "/models/tiny.gguf", "8080", "--tokens-per-s", "10"]
    llama = {"image": "sluice-llama:cluster-test", "build": build, "entrypoint": slow}
    gateway = {**sluice, "environment": {"REPLY_DEADLINE_S": "900"}}
    services: dict[str, Any] = dict.fromkeys(["schema", "worker-1", "worker-2"], sluice)
    services |= dict.fromkeys(GATEWAYS, gateway) | {"llama": llama}
    override = tmp_path_factory.mktemp("cluster") / "override.yml"
    override.write_text(json.dumps({"services": services}))
    cluster = Cluster(override)
    try:
        cluster.compose("up", "--build", "--detach", timeout_s=BUILD_S)
        until_it_answers(cluster)
        yield cluster
    finally:
        cluster.compose("down", "--volumes", "--remove-orphans", timeout_s=2 * COMMAND_S)


def until_it_answers(cluster: Cluster) -> None:
    """Return when every gateway has a row. Containers give no signal when they are ready."""
    for name in GATEWAYS:
        python = (
            "import time, urllib.request\n"
            "while True:\n"
            "    try:\n"
            f"        url = 'http://{name}:8000/health'\n"
            "        asked = urllib.request.Request(url, headers={'Host': 'localhost'})\n"
            "        urllib.request.urlopen(asked, timeout=2); break\n"
            "    except OSError:\n"
            "        time.sleep(0.2)\n"
        )
        cluster.compose("exec", "-T", "worker-1", "python3", "-c", python, timeout_s=READ_S)


class Reader:
    """Reads as an EventSource does: it reconnects with the last id until the end."""

    def __init__(self, cluster: Cluster, content: str, **more: Any) -> None:
        self._cluster = cluster
        self._last_id: str | None = None
        body = json.dumps({"content": content, "resumable": True, "max_tokens": 400, **more}).encode()
        self._response = self._open("/messages/stream", body, {"Content-Type": "application/json"})
        self.stream_id = str(self._response.headers["Sluice-Stream-Id"])
        self.told: list[dict[str, Any]] = []
        self.connections = 1

    @property
    def text(self) -> str:
        return "".join(event["content"] for event in self.told if event["type"] == "chunk")

    @property
    def ended(self) -> bool:
        return bool(self.told) and self.told[-1]["type"] in ("done", "error")

    def read(self, more_chars: int | None = None) -> None:
        """Read on until the reply ends, or until so many more characters have come."""
        enough = None if more_chars is None else len(self.text) + more_chars
        frame: dict[str, str] = {}
        while not self.ended and (enough is None or len(self.text) < enough):
            try:
                line = self._response.readline()
            except (OSError, ValueError, EOFError):
                line = b""
            if not line:
                frame = {}
                self._reconnect()
            elif line == b"\n":
                if "data" in frame:
                    self.told.append(json.loads(frame["data"]))
                    self._last_id = frame.get("id", self._last_id)
                frame = {}
            else:
                name, _, value = line.decode().rstrip("\n").partition(": ")
                frame[name] = value

    def _reconnect(self) -> None:
        self._response.close()
        self.connections += 1
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        self._response = self._open(f"/messages/stream/{self.stream_id}", None, headers)

    def _open(self, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        request = urllib.request.Request(self._cluster.url + path, body, headers)  # noqa: S310 - our own http URL
        return urllib.request.urlopen(request, timeout=READ_S)  # noqa: S310


def test_any_gateway_answers_and_all_of_them_know_the_others(cluster: Cluster) -> None:
    reader = Reader(cluster, "Tell me about the river.")
    reader.read()
    assert reader.told[-1]["type"] == "done"
    kinds = [kind for kind, _ in groupby(event["type"] for event in reader.told)]
    assert kinds[0] == "metadata"
    assert reader.text == reader.told[-1]["full_content"]
    session_id = reader.told[0]["session_id"]
    for _ in GATEWAYS:
        messages = cluster.get(f"/api/chatbot/sessions/{session_id}/messages")
        assert messages[-1]["content"] == reader.text
    rows = cluster.sql("SELECT owner, internal_url FROM gateways ORDER BY owner").splitlines()
    assert [row.partition("/")[0] for row in rows] == list(GATEWAYS)
    assert [row.partition("|")[2] for row in rows] == [f"http://{name}:8000" for name in GATEWAYS]


def test_gateways_that_do_not_make_the_reply_may_be_killed_one_after_the_other(cluster: Cluster) -> None:
    reader = Reader(cluster, "Tell me about the sea.")
    reader.read(20)
    for name in GATEWAYS:
        if name == cluster.owner_of(reader.stream_id):
            continue
        cluster.compose("kill", "-s", "SIGKILL", name)
        reader.read(20)
        again = Resumed(cluster, reader)
        again.read(20)
        cluster.compose("start", name)
    reader.read()
    assert reader.told[-1]["type"] == "done"
    assert reader.text == reader.told[-1]["full_content"]


def test_owners_may_be_killed_one_after_the_other(cluster: Cluster) -> None:
    reader = Reader(cluster, "Tell me about the forest.", max_tokens=1500, **ENDLESS)
    killed = []
    for _ in GATEWAYS:
        reader.read(20)
        owner = cluster.owner_of(reader.stream_id)
        cluster.compose("kill", "-s", "SIGKILL", owner)
        killed.append(owner)
        again = Resumed(cluster, reader)
        again.read(len(reader.text) + 20)
        assert again.text.startswith(reader.text)
        assert cluster.owner_of(reader.stream_id) != owner
        cluster.compose("start", owner)
    reader.read()
    row = cluster.sql(f"SELECT epoch, content FROM messages WHERE stream_id = '{reader.stream_id}'")  # noqa: S608
    assert reader.told[-1]["type"] == "done", reader.told[-1]
    assert reader.text == reader.told[-1]["full_content"]
    assert row == f"{len(killed)}|{reader.text}"


class Resumed(Reader):
    """Another reader of the same reply, from its beginning."""

    def __init__(self, cluster: Cluster, of: Reader) -> None:
        self._cluster = cluster
        self._last_id = None
        self.stream_id = of.stream_id
        self.told = []
        self.connections = 1
        self._response = self._open(f"/messages/stream/{of.stream_id}", None, {})
