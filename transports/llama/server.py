"""A real llama.cpp server as a program of its own, out of the xllamacpp wheel.

usage: python -m transports.llama.server MODEL PORT [--parallel N] [--ctx-per-slot N] ...

Prints `READY http://HOST:PORT` when the model is loaded; ends on SIGTERM and SIGINT, and with
--with-parent when its standard input ends, which is when its parent is gone, however it went.
"""

import argparse
import os
import signal
import sys
import threading
import time
import urllib.request
from typing import Any

LOADING_POLL_S = 0.01


def main() -> None:
    options = _options()
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if options.with_parent:
        threading.Thread(target=_wait_for_end_of_input, daemon=True).start()
    try:
        server = _start(options)
    except RuntimeError as exc:  # the wheel has logged what was wrong
        raise SystemExit(str(exc)) from exc
    url = server.listening_address
    while not ended.is_set() and not _is_loaded(url):
        time.sleep(LOADING_POLL_S)
    sys.stdout.write(f"READY {url}\n")
    sys.stdout.flush()
    ended.wait()
    os._exit(0)  # the wheel's own shutdown would wait for replies that are being made


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
    parser.add_argument("--with-parent", action="store_true", help="end when standard input ends")
    return parser.parse_args()


def _start(options: argparse.Namespace) -> Any:
    """Load the model and listen; the first requests may still be answered 503."""
    import xllamacpp  # takes the wheel's 100 MB in: not for who only wants --help

    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.model_alias = {options.alias}
    params.hostnames = [options.host]
    params.port = options.port
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
    if options.api_key:
        params.api_keys = [options.api_key]
    return xllamacpp.Server(params)


def _is_loaded(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:  # noqa: S310  our own http URL
            return bool(answer.status == 200)
    except OSError:  # a 503 is one too
        return False


def _wait_for_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main()
