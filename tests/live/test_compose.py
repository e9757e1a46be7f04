"""docker-compose.yml with a real Docker: build, start, requests, failures, and removal."""

import http.client
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.live.brokers import free_port

pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(
        os.environ.get("SLUICE_COMPOSE_TEST") != "1",
        reason="builds images and starts containers: set SLUICE_COMPOSE_TEST=1 on a machine with Docker",
    ),
]

ROOT = Path(__file__).parents[2]
BUILD_S = 900
COMMAND_S = 60
ANSWER_S = 30
PAUSE_S = 0.1


@dataclass(frozen=True)
class Answer:
    """One reply as its reader received it. text: the joined chunks."""

    session_id: int
    text: str
    done: dict[str, Any]


class Unanswered(Exception):
    """The request was rejected, or its reply ended with an error: a client may retry."""


class Stack:
    """The services of docker-compose.yml, in a separate project and on a separate port."""

    def __init__(self, override: Path) -> None:
        self.port = free_port()
        self._override = override

    def compose(
        self,
        *arguments: str,
        mode: str = "sse",
        timeout_s: float = COMMAND_S,
        variables: Mapping[str, str] = {},
    ) -> str:
        """Run one compose command and return its standard output. A command that fails fails the test."""
        files = ["-f", str(ROOT / "docker-compose.yml"), "-f", str(self._override)]
        return run(
            *compose_command(),
            *files,
            "-p",
            f"sluice-test-{self.port}",
            *arguments,
            timeout_s=timeout_s,
            LLM_COMM_MODE=mode,
            SLUICE_PORT=str(self.port),
            **variables,
        )

    def serve(self, mode: str, **variables: str) -> None:
        """Run the services in this mode. Changed ones replace those that run, and keep their data."""
        self.compose("up", "--detach", mode=mode, variables=variables)

    def models(self) -> list[str]:
        """Return the names of the models, none while the gateway starts."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/models", timeout=5) as response:
                return [model["id"] for model in json.load(response)["data"]]
        except (OSError, EOFError, http.client.HTTPException):
            return []

    def answer_of(self, model: str) -> Answer:
        """Wait until this is the model, and return an answer."""
        give_up = time.monotonic() + ANSWER_S
        while self.models()[:1] != [model]:
            assert time.monotonic() < give_up, f"no model {model}: {self.models()}"
            time.sleep(PAUSE_S)  # containers give no signal when they are ready
        return self.answer()

    def inspect(self, service: str, what: str) -> str:
        """Return a fact about a service's container, running or not. `what`: as docker inspect's --format."""
        everything = self.compose("ps", "--all", "--quiet", service)
        return run("docker", "inspect", "--format", what, everything.strip()).strip()

    def answer(self, session_id: int | None = None) -> Answer:
        """Send a message until its reply is complete, as a client that retries."""
        give_up = time.monotonic() + ANSWER_S
        while True:
            try:
                return self._ask(session_id)
            except (Unanswered, OSError, EOFError) as exc:
                if time.monotonic() > give_up:
                    logs = self.compose("logs", "--no-color", "--tail", "20")
                    raise AssertionError(f"no answer in {ANSWER_S} s\n{logs}") from exc
            time.sleep(PAUSE_S)  # containers give no signal when they are ready

    def messages(self, session_id: int) -> list[tuple[str, str, str]]:
        """Return role, status and content of a session's stored messages, oldest first."""
        url = f"http://127.0.0.1:{self.port}/api/chatbot/sessions/{session_id}/messages"
        with urllib.request.urlopen(url, timeout=5) as response:
            return [(kept["role"], kept["status"], kept["content"]) for kept in json.load(response)]

    def _ask(self, session_id: int | None) -> Answer:
        question = {"content": "Tell me about the river.", "session_id": session_id}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/messages/stream",
            json.dumps(question).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=ANSWER_S) as response:  # noqa: S310 - our own http URL
            frames = [json.loads(line[6:]) for line in response if line.startswith(b"data: ")]
        if not frames or frames[-1]["type"] != "done":
            raise Unanswered(frames[-1:])
        text = "".join(frame["content"] for frame in frames if frame["type"] == "chunk")
        return Answer(frames[0]["session_id"], text, frames[-1])


def compose_command() -> list[str]:
    """Return the command for Compose 2 if it is installed, else for docker-compose 1.29."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    if plugin.returncode == 0:
        return ["docker", "compose"]
    assert shutil.which("docker-compose"), "SLUICE_COMPOSE_TEST=1, and there is no docker compose here"
    return ["docker-compose"]


def run(*command: str, timeout_s: float = COMMAND_S, **variables: str) -> str:
    done = subprocess.run(
        command,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Build and start the stack. SLUICE_BUILD_NETWORK=host: for builds that reach no package index."""
    build = {"network": os.environ.get("SLUICE_BUILD_NETWORK", "default")}
    sluice = {"image": "sluice-gateway:test", "build": build}
    llama = {"image": "sluice-llama:test", "build": build}
    override = tmp_path_factory.mktemp("compose") / "override.yml"
    # Stands for a server that somebody else runs.
    program = ["/models/tiny.gguf", "8080", "--alias", "elsewhere"]
    own_server = {"image": "sluice-llama:test", "command": program}
    services = {"gateway": sluice, "worker": sluice, "llama": llama, "own-server": own_server}
    override.write_text(json.dumps({"services": services}))
    stack = Stack(override)
    try:
        stack.compose(
            "build", timeout_s=BUILD_S
        )  # `up --build` of Compose 1 would first pull own-server's image
        stack.compose("up", "--detach", timeout_s=BUILD_S)
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", timeout_s=2 * COMMAND_S)


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
def test_what_was_streamed_is_what_the_history_says(stack: Stack, mode: str) -> None:
    stack.serve(mode)
    answer = stack.answer()
    assert answer.done["mode"] == mode
    assert answer.text
    assert answer.text == answer.done["full_content"]
    assert stack.messages(answer.session_id)[-1] == ("assistant", "complete", answer.text)


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
def test_a_model_file_of_ones_own_replaces_the_demo_model(stack: Stack, mode: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.gguf"
    file.write_bytes((ROOT / "deploy/models/tiny.gguf").read_bytes())
    file.chmod(0o644)
    stack.serve(mode, MODEL_FILE=str(file), MODEL_NAME="mine")
    answer = stack.answer_of("mine")
    assert answer.done["mode"] == mode
    assert answer.text == answer.done["full_content"] != ""


@pytest.mark.parametrize("mode", ["sse", "mqtt"])
def test_a_model_server_of_ones_own_replaces_the_container(stack: Stack, mode: str) -> None:
    stack.serve(mode, MODEL_CONTAINERS="0", LLM_SERVER_URL="http://own-server:8080")
    answer = stack.answer_of("elsewhere")
    assert answer.done["mode"] == mode
    assert stack.compose("ps", "--quiet", "llama").strip() == ""


@pytest.mark.parametrize(
    ("mode", "service"),
    [("sse", "llama"), ("mqtt", "llama"), ("mqtt", "worker"), ("mqtt", "mosquitto")],
)
def test_the_gateway_outlives_a_killed_service_and_finds_it_again(
    stack: Stack, mode: str, service: str
) -> None:
    stack.serve(mode)
    session_id = stack.answer().session_id
    since = stack.inspect("gateway", "{{.State.StartedAt}}")
    stack.compose("kill", "-s", "SIGKILL", service)
    assert stack.inspect(service, "{{.State.Running}}") == "false"
    stack.compose("start", service)
    answer = stack.answer(session_id)
    assert answer.done["mode"] == mode
    assert stack.messages(session_id)[-1] == ("assistant", "complete", answer.text)
    assert stack.inspect("gateway", "{{.State.StartedAt}}") == since


def test_a_stopped_gateway_ends_by_itself_and_a_new_one_has_its_messages(stack: Stack) -> None:
    stack.serve("sse")
    session_id = stack.answer().session_id
    before = stack.messages(session_id)
    stack.compose("stop", "gateway")
    assert stack.inspect("gateway", "{{.State.ExitCode}}") == "0"
    stack.compose("rm", "--force", "gateway")
    stack.serve("sse")
    stack.answer(session_id)
    assert stack.messages(session_id)[: len(before)] == before


def test_only_this_machine_reaches_the_gateway_and_nobody_else_has_a_port(stack: Stack) -> None:
    published = {
        service: json.loads(stack.inspect(service, "{{json .HostConfig.PortBindings}}")) or {}
        for service in ("gateway", "worker", "llama", "mosquitto")
    }
    addresses = [binding["HostIp"] for binding in published.pop("gateway")["8000/tcp"]]
    assert addresses == ["127.0.0.1"]
    assert not any(published.values())


@pytest.mark.parametrize("service", ["gateway", "worker", "llama", "mosquitto"])
def test_a_container_runs_without_privileges_and_within_limits(stack: Stack, service: str) -> None:
    host = json.loads(stack.inspect(service, "{{json .HostConfig}}"))
    assert (host["CapDrop"], host["SecurityOpt"]) == (["ALL"], ["no-new-privileges:true"])
    assert host["ReadonlyRootfs"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert stack.compose("exec", "-T", service, "id", "-u").strip() != "0"


def test_a_page_that_names_another_host_is_refused(stack: Stack) -> None:
    stack.serve("sse")
    stack.answer()
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.port}/api/chatbot/sessions", headers={"Host": "evil.example"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=5)  # noqa: S310 - our own http URL
    refused.value.close()
    assert refused.value.code == 403


def test_the_broker_lets_nobody_in_without_a_password(stack: Stack) -> None:
    with pytest.raises(AssertionError, match=r"(?i)not authori[sz]ed|refused"):
        stack.compose(
            "exec", "-T", "mosquitto", "mosquitto_pub", "-t", "sluice/v1/workers/worker-1/status", "-n"
        )
