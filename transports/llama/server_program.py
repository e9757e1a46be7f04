"""Program that runs the llama.cpp server of the xllamacpp wheel, for the demo and for tests.

usage: python -m transports.llama.server_program MODEL PORT [--parallel N] [--ctx-per-slot N] [--embeddings]
           [--with-parent] ...

Prints `READY http://HOST:PORT` when the model is loaded. Ends on SIGTERM and SIGINT; with --with-parent also
when its standard input ends, so when its parent is gone, even after kill -9.
"""

import argparse
import http.client
import http.server
import os
import re
import signal
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

LOADING_POLL_S = 0.01
MAX_KEPT = 1000
"""Conversation ids of which SlowedServer knows when they began."""


def main() -> None:
    options = _options()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    if options.with_parent:
        threading.Thread(target=_wait_for_end_of_input, daemon=True).start()
    try:
        slowed_server = SlowedServer(options) if options.tokens_per_s else None
        server = _start(options)
    except (OSError, RuntimeError) as exc:  # the wheel has logged the reason
        raise SystemExit(str(exc)) from exc
    url = server.listening_address
    while not _is_loaded(url):
        time.sleep(LOADING_POLL_S)
    if slowed_server is not None:
        url = slowed_server.pass_on_to(url)
    sys.stdout.write(f"READY {url}\n")
    sys.stdout.flush()
    while True:
        signal.pause()


def _end(*_: object) -> None:
    os._exit(0)  # the wheel's own shutdown would wait for running replies


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Serve a GGUF model with llama.cpp's own HTTP server.")
    parser.add_argument("model", help="path of a GGUF file")
    parser.add_argument("port", type=int, help="0: any free one")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--parallel", type=int, default=4, help="replies made at a time (slots)")
    parser.add_argument(
        "--ctx-per-slot", type=int, default=2048, help="tokens of question and reply together"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--alias", default="tiny", help="the model's name in the API")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--ping-s", type=int, default=30, help="between comments while silent; -1: none")
    parser.add_argument(
        "--tokens-per-s",
        type=float,
        default=0,
        help="stream no faster, so that a person can watch; 0: no limit",
    )
    parser.add_argument("--embeddings", action="store_true", help="also serve /v1/embeddings")
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    return parser.parse_args()


def _start(options: argparse.Namespace) -> Any:
    """Load the model and listen. The first requests may still get 503."""
    import xllamacpp  # loads 100 MB, which --help does not need

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.model_alias = {options.alias}
    # SlowedServer listens at this address, in front of the wheel's server.
    params.hostnames = ["127.0.0.1" if options.tokens_per_s else options.host]
    params.port = 0 if options.tokens_per_s else options.port
    params.n_parallel = options.parallel
    params.n_ctx = options.ctx_per_slot * options.parallel
    params.n_batch = params.n_ubatch = 512
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.threads
    params.n_threads_http = max(8, 2 * options.parallel + 4)
    params.verbosity = 1  # errors only
    params.warmup = False
    params.fit_params = False
    params.cache_ram_mib = 0
    params.endpoint_metrics = True
    params.endpoint_slots = True
    params.endpoint_props = False
    params.sse_ping_interval = options.ping_s
    if options.embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    if options.api_key:
        params.api_keys = [options.api_key]
    return xllamacpp.Server(params)


def _is_loaded(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  our own http URL
            return bool(answer.status == 200)
    except OSError:  # a 503 too
        return False


class SlowedServer(http.server.ThreadingHTTPServer):
    """Passes every request on to llama.cpp and slows down the event streams that it sends."""

    def __init__(self, options: argparse.Namespace) -> None:
        """Bind host and port of `options`. Raises OSError if the port is taken."""
        self.address_family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
        super().__init__((options.host, options.port), SlowedRequest)
        self.tokens_per_s: float = options.tokens_per_s
        self.model = ""
        self._began_at: dict[str, float] = {}

    def began_at(self, id: str) -> float | None:
        """Return when the first response with this conversation id began, by time.monotonic; None if this is
        the first. A later one is a kept stream, read by a gateway that takes a reply over."""
        if not id or id in self._began_at:
            return self._began_at.get(id)
        self._began_at[id] = time.monotonic()
        if len(self._began_at) > MAX_KEPT:
            self._began_at.pop(next(iter(self._began_at)), None)
        return None

    def pass_on_to(self, model_url: str) -> str:
        """Start to serve in a thread, and return this server's URL."""
        self.model = urlsplit(model_url).netloc
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return f"http://{self.server_address[0]!s}:{self.server_port}"


class SlowedRequest(http.server.BaseHTTPRequestHandler):
    """One request. Its response ends with the connection, as in HTTP/1.0."""

    server: SlowedServer

    def pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        model = http.client.HTTPConnection(self.server.model)
        try:
            model.request(self.command, self.path, body, dict(self.headers))
            answer = model.getresponse()
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "keep-alive", "connection"):
                    self.send_header(name, value)
            self.end_headers()
            is_stream = answer.headers.get_content_type() == "text/event-stream"
            began = self.server.began_at(self._conversation()) if is_stream else None
            for line in slowed(answer, self.server.tokens_per_s, began) if is_stream else answer:
                self.wfile.write(line)
        except (OSError, http.client.HTTPException):  # the client or the model server closed the connection
            self.close_connection = True
        finally:
            model.close()

    def _conversation(self) -> str:
        asked = parse_qs(urlsplit(self.path).query).get("conv_id", [""])[0]
        return asked or self.headers.get("X-Conversation-Id", "")

    do_GET = do_POST = do_DELETE = do_OPTIONS = pass_on  # noqa: N815 - http.server's own names

    def log_message(self, *_: object) -> None:
        """Log nothing: the gateway logs its requests."""


_OWN_RATE = re.compile(rb'(?<="predicted_per_second":)[0-9.eE+-]+')


def slowed(
    lines: Iterable[bytes],
    events_per_s: float,
    began: float | None = None,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[bytes]:
    """Yield the lines of an event stream, at most `events_per_s` events per second, each with one token.

    Replaces the rate that llama.cpp measured by this one, because readers take it for the speed they see.

    began: when a reader first got the stream, by the clock; one that gets it again does not wait again. None:
        nobody did.
    """
    due, is_again = (clock(), False) if began is None else (began, True)
    for line in lines:
        yield _OWN_RATE.sub(b"%g" % events_per_s, line)
        if not line.strip():
            due += 1 / events_per_s
            is_again = is_again and due < clock()
            if not is_again:
                due = max(due, clock())
                sleep(max(0.0, due - clock()))


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
