"""`sluice chat`: a conversation in the terminal."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from gateway.commands.admin_client import WITH_KEY
from gateway.commands.printable import without_controls

TIMEOUT_S = 60  # The gateway sends a heartbeat every 15 s.
STOP_S = 5


class TerminalChat:
    """One conversation.

    Args:
        url: of the gateway.
        session_id: id, uuid or key; None starts a session with the first question.
        key: an API key; empty for none.
        model: empty for the gateway's default model.
    """

    def __init__(self, url: str, session_id: int | str | None, key: str = "", model: str = "") -> None:
        parts = urlsplit(url)
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._path = f"{parts.path.rstrip('/')}/messages/stream"
        self._url = url
        self._headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._session_id = session_id
        self._shown_session_id: int | str | None = None
        self._stream_id: str | None = None
        self._model = model
        self._out = Console(highlight=False, soft_wrap=True)
        self._notes = Console(stderr=True, highlight=False, style="dim", markup=False)

    def run(self) -> int:
        """Send questions until the input ends or Ctrl-C at the prompt. Return the exit code."""
        session = "a new session" if self._session_id is None else f"session {self._session_id}"
        self._notes.print(
            f"{self._url} · {session} · Ctrl-C stops a reply, Ctrl-C or Ctrl-D at the prompt exits"
        )
        while True:
            try:
                question = self._out.input("[bold]> [/bold]").strip()
            except (EOFError, KeyboardInterrupt):
                self._out.print()
                return 0
            if question:
                self.ask(question)

    def ask(self, question: str) -> int:
        """Send one question and print the reply as it arrives. Return 0 if the reply is complete, else 1."""
        connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
        self._stream_id = None
        try:
            return self._print_reply(connection, question)
        except KeyboardInterrupt:
            self._out.print()
            self._note(self._stop())
            self._show_session()
            return 1
        except (OSError, http.client.HTTPException) as error:
            self._notes.print(f"{self._url} does not answer: {error}")
            return 1
        finally:
            connection.close()

    def _stop(self) -> str:
        """Stop the running reply; the gateway stores its text so far. Return the result, for the user."""
        if self._stream_id is None:
            return "stopped before the reply began"
        connection = self._kind(self._host, self._port, timeout=STOP_S)
        try:
            connection.request("POST", f"{self._path}/{self._stream_id}/stop", b"{}", self._headers)
            response = connection.getresponse()
            told = response.read()
            return "stopped" if response.status == http.client.OK else f"not stopped: {_problem(told)}"
        except (OSError, http.client.HTTPException, KeyboardInterrupt):
            return "stopped: the connection was closed"
        finally:
            connection.close()

    def _show_session(self) -> None:
        if self._session_id != self._shown_session_id:
            self._shown_session_id = self._session_id
            later = f"sluice chat --url {self._url} --session {self._session_id}"
            self._notes.print(f"session {self._session_id} (later: {later})")

    def _print_reply(self, connection: http.client.HTTPConnection, question: str) -> int:
        asked = {"content": question, "session_id": self._session_id}
        if self._model:
            asked["model"] = self._model
        connection.request("POST", self._path, json.dumps(asked).encode(), self._headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            self._note(_problem(response.read()))
            return 1
        for event in _events(response):
            match event["type"]:
                case "metadata":
                    self._session_id = event["session_id"]
                    self._stream_id = event["stream_id"]
                case "chunk":
                    self._write(event["content"])
                case "reasoning":
                    self._write(event["content"], style="dim italic")
                case "tool_call":
                    self._write(f"\n→ {event['name']}({event['args']})\n", style="cyan")
                case "done":
                    self._out.print()
                    self._note(_summary(event))
                    self._show_session()
                    return 0
                case "error":
                    self._out.print()
                    self._note(f"{event['code']}: {event['message']}")
                    self._show_session()
                    return 1
        self._notes.print("The connection was closed before the reply was complete.")
        return 1

    def _write(self, text: str, style: str | None = None) -> None:
        self._out.print(without_controls(text), end="", style=style, markup=False)
        self._out.file.flush()

    def _note(self, text: str) -> None:
        self._notes.print(without_controls(text))


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    # readline ends lines at LF only; str.splitlines would cut at U+2028 too.
    while line := response.readline():
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def _problem(body: bytes) -> str:
    try:
        told = json.loads(body)
        problem = f"{told['code']}: {told['detail']}"
        return f"{problem} {WITH_KEY}" if told["code"] == "unauthorized" else problem
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:500]


def _summary(done: dict[str, Any]) -> str:
    parts = [f"mode {done['mode']}", done.get("model"), done["reason"]]
    if "usage" in done:
        parts.append(f"{done['usage']['completion_tokens']} tokens")
    if "tokens_per_s" in done:
        parts.append(f"{done['tokens_per_s']} tokens/s")
    return " · ".join(part for part in parts if part)
