"""The command `sluice`."""

import logging
import signal
import sys
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from gateway.commands.audit import audit
from gateway.commands.db import db
from gateway.commands.devices import devices
from gateway.commands.doctor.command import doctor
from gateway.commands.keys import keys
from gateway.commands.mode import mode
from gateway.commands.streams import streams
from gateway.commands.top.command import top
from gateway.commands.users import users
from gateway.commands.workers import workers
from gateway.contract.host_ports import split_address
from gateway.contract.open_files import LEAST, descriptor_limit, raise_descriptor_limit
from gateway.contract.secrets import remember_secrets
from gateway.settings import CannotStart, Settings, SettingsError, load_settings
from gateway.settings_errors import env_file_settings, misspelt, shown
from gateway.telemetry.logs import configure_logs, flush_logs, keep_standard_descriptors

log = logging.getLogger("sluice")

WRONG_SETTING, START_FAILED = 2, 3
"""Exit codes. After START_FAILED, which is uvicorn's too, supervisors and service managers start the program
again."""

R = TypeVar("R")

app = typer.Typer(
    name="sluice",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(db, name="db")
app.add_typer(devices, name="devices")
app.add_typer(keys, name="keys")
app.add_typer(users, name="users")
app.add_typer(streams, name="streams")
app.add_typer(workers, name="workers")
app.command()(mode)
app.command()(audit)
app.command()(doctor)
app.command()(top)


def main() -> None:
    keep_standard_descriptors()
    try:
        app()
    except SettingsError as error:
        _fail(str(error))
    except CannotStart as error:
        _fail(str(error), START_FAILED)
    except FileNotFoundError:
        if _is_in_a_folder():
            raise
        _fail("The current folder was deleted: start in another one.")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sluice {version('sluice-gateway')}")
        raise typer.Exit


@app.callback(help="One chat endpoint in front of language models that are reached over HTTP or MQTT.")
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """The options before the command."""


@app.command()
def serve(
    workers: Annotated[
        int | None, typer.Option(help="Number of processes, with PostgreSQL. Default: WORKERS.")
    ] = None,
    supervised: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Run the gateway with the settings of the environment and `.env`."""
    _survive_hangup()
    overrides: dict[str, object] = {} if workers is None else {"workers": workers}
    settings = _settings(**overrides | ({"_env_file": None} if supervised else {}))
    if settings.workers > 1:
        from gateway.process.supervisor import supervise

        raise typer.Exit(_run(supervise(settings, env_file_settings(Settings.model_fields))))
    from gateway.process import serve as serving

    if supervised:
        from gateway.process.supervisor import end_with_input

        end_with_input()
    listener = serving.listen(settings)

    async def say_listening(assembled: serving.Assembled) -> None:
        serving.log.info("listening on %s (mode %s)", serving.url_of(listener), assembled.modes.mode)

    _run(serving.serve(settings, listener, say_listening))


@app.command()
def demo() -> None:
    """Run everything embedded: gateway, MQTT broker, a real llama.cpp with a small model, and one worker."""
    _survive_hangup()
    settings = _settings(mqtt_broker_host="127.0.0.1")
    from gateway.commands.demo import run_demo

    _run(run_demo(settings))


@app.command()
def worker(
    name: Annotated[
        str, typer.Option(help="The worker's name and MQTT client id: 1 to 64 of A-Z a-z 0-9 _ . -")
    ],
    llm_url: Annotated[
        list[str] | None,
        typer.Option(help="A llama.cpp server; repeat it for several. Default: LLM_SERVER_URL."),
    ] = None,
    broker: Annotated[
        str, typer.Option(help="HOST or HOST:PORT. Default: MQTT_BROKER_HOST and MQTT_BROKER_PORT.")
    ] = "",
    max_concurrent: Annotated[
        int,
        typer.Option("--max", min=0, help="Maximum requests at the same time; 0: the servers' slots."),
    ] = 0,
    health_port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="Serve /health and /ready on this port; 0: any free port."),
    ] = None,
    health_host: Annotated[
        str, typer.Option(help="Address for these pages; 0.0.0.0 for probes from outside, as in a container.")
    ] = "127.0.0.1",
) -> None:
    """Serve llama.cpp servers to gateways over MQTT. The model of a request selects the server."""
    _survive_hangup()
    overrides: dict[str, object] = {}
    if broker:
        try:
            host, port = split_address(broker)
        except ValueError as error:
            _fail(f"--broker {shown(broker)} is not allowed: {error}")
        overrides |= {"mqtt_broker_host": host, **({"mqtt_broker_port": port} if port else {})}
    settings = _settings(**overrides)
    if not settings.mqtt_broker_host:
        _fail("A worker needs a broker: set --broker HOST:PORT or MQTT_BROKER_HOST.")
    from gateway.commands.worker import run_worker

    _run(
        run_worker(
            settings,
            name,
            max_concurrent,
            llm_url or [],
            health_host=health_host,
            health_port=health_port,
        )
    )


@app.command()
def chat(
    question: Annotated[
        list[str] | None, typer.Argument(help="Ask one question and exit; without it, start a conversation.")
    ] = None,
    url: Annotated[
        str, typer.Option(envvar="SLUICE_URL", help="The gateway. Default: http://HOST:PORT of the settings.")
    ] = "",
    session: Annotated[
        str | None, typer.Option(help="Continue the session with this id, uuid or key.")
    ] = None,
    key: Annotated[
        str, typer.Option(envvar="SLUICE_API_KEY", help="An API key, if the gateway requires one.")
    ] = "",
    model: Annotated[str, typer.Option(help="The model. Default: the gateway's default model.")] = "",
) -> None:
    """Chat with a gateway in the terminal. Ctrl-C stops a reply; Ctrl-C at the prompt exits."""
    from gateway.commands.admin_client import check_key, checked_url
    from gateway.commands.chat import TerminalChat

    signal.signal(signal.SIGINT, signal.default_int_handler)  # stops only a reply
    check_key(key)
    number = int(session) if session and session.isascii() and session.isdecimal() else session
    talk = TerminalChat(checked_url(url), number, key, model)
    raise typer.Exit(talk.ask(" ".join(question)) if question else talk.run())


def _settings(**overrides: object) -> Settings:
    _check_open_files()
    settings = load_settings(**overrides)
    remember_secrets(settings.secrets)
    configure_logs(
        settings.log_level,
        settings.log_format,
        settings.gateway_name if settings.process_number else "",
    )
    if "_env_file" not in overrides:  # else the supervisor has said it
        for line in misspelt(Settings.model_fields):
            log.warning("%s", line)
    return settings


def _is_in_a_folder() -> bool:
    try:
        Path.cwd()
    except FileNotFoundError:
        return False
    return True


def _check_open_files() -> None:
    raise_descriptor_limit()
    if descriptor_limit() < LEAST:
        _fail(f"At most {descriptor_limit()} files may be open (ulimit -n): the start needs {LEAST}.")


def _run(work: Coroutine[Any, Any, R]) -> R:
    from gateway.process.early_signals import run

    return run(work)


def _survive_hangup() -> None:
    """Log SIGHUP, which asks services to reopen their logs, in place of ending the process. If the signal is
    ignored (nohup), it stays ignored."""
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _hear_hangup)


def _hear_hangup(_: int, __: object) -> None:
    log.info("SIGHUP ignored: logs go to standard error, and settings are read only at the start")


def _fail(message: str, code: int = WRONG_SETTING) -> NoReturn:
    flush_logs()
    typer.echo(f"sluice: {message}", err=True)
    sys.exit(code)
