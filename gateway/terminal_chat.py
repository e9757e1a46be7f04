"""`sluice chat`: a conversation in the terminal, streamed; standard library and rich only."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

TIMEOUT_S = 60  # The gateway sends a heartbeat every 15 s.


class TerminalChat:
    """url: the gateway's. session_id None starts a session with the first question. key: "" for none."""

    def __init__(self, url: str, session_id: int | None, key: str = "") -> None:
        parts = urlsplit(url)
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port = parts.hostname or "", parts.port
        self._path = f"{parts.path.rstrip('/')}/messages/stream"
        self._url = url
        self._headers = {"Content-Type": "application/json"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._session_id = session_id
        self._out = Console(highlight=False, soft_wrap=True)
        self._notes = Console(stderr=True, highlight=False, style="dim")

    def run(self) -> int:
        """Ask until the input ends or Ctrl-C at the prompt; the exit code."""
        self._notes.print(f"{self._url} · Ctrl-C stops a reply, Ctrl-C or Ctrl-D at the prompt leaves")
        while True:
            try:
                question = self._out.input("[bold]> [/bold]").strip()
            except (EOFError, KeyboardInterrupt):
                self._out.print()
                return 0
            if question:
                self.ask(question)

    def ask(self, question: str) -> int:
        """Ask one question and print the reply as it comes; 0 if it came to its end, 1 if not."""
        connection = self._kind(self._host, self._port, timeout=TIMEOUT_S)
        try:
            return self._print_reply(connection, question)
        except KeyboardInterrupt:
            # Closing the connection is the stop; the gateway keeps what was said.
            self._out.print()
            self._notes.print("stopped")
            return 1
        except (OSError, http.client.HTTPException) as error:
            self._notes.print(f"{self._url} does not answer: {error}")
            return 1
        finally:
            connection.close()

    def _print_reply(self, connection: http.client.HTTPConnection, question: str) -> int:
        body = json.dumps({"content": question, "session_id": self._session_id})
        connection.request("POST", self._path, body.encode(), self._headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            self._notes.print(_problem(response.read()))
            return 1
        for event in _events(response):
            match event["type"]:
                case "metadata":
                    self._session_id = event["session_id"]
                case "chunk":
                    self._write(event["content"])
                case "reasoning":
                    self._write(event["content"], style="dim italic")
                case "tool_call":
                    self._write(f"\n→ {event['name']}({event['args']})\n", style="cyan")
                case "done":
                    self._out.print()
                    self._notes.print(_summary(event))
                    return 0
                case "error":
                    self._out.print()
                    self._notes.print(f"{event['code']}: {event['message']}")
                    return 1
        self._notes.print("The stream broke off.")
        return 1

    def _write(self, text: str, style: str | None = None) -> None:
        self._out.print(text, end="", style=style, markup=False)
        self._out.file.flush()


def _events(response: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    # readline ends lines at LF only; str.splitlines would cut at U+2028 too.
    while line := response.readline():
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def _problem(body: bytes) -> str:
    try:
        told = json.loads(body)
        return f"{told['code']}: {told['detail']}"
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace")[:500]


def _summary(done: dict[str, Any]) -> str:
    parts = [f"mode {done['mode']}", done.get("model"), done["reason"]]
    if "usage" in done:
        parts.append(f"{done['usage']['completion_tokens']} tokens")
    if "tokens_per_s" in done:
        parts.append(f"{done['tokens_per_s']} tokens/s")
    return " · ".join(part for part in parts if part)
