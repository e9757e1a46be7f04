"""`sluice top`: shows a running gateway until Ctrl-C."""

import sys
import time
from typing import Annotated

import typer

from gateway.commands.admin_client import Key, NoGateway, Url, fail, url_of_settings
from gateway.commands.printable import cut, printable
from gateway.commands.top.page import page_of
from gateway.commands.top.screen import Screen
from gateway.commands.top.snapshot import CannotAnswer, Refused, Snapshot, take_snapshot
from gateway.settings import load_settings

WIDE, HIGH = 10_000, 100_000


def top(
    once: Annotated[
        bool, typer.Option("--once", help="Print one page and exit; so without a terminal.")
    ] = False,
    interval: Annotated[float, typer.Option(min=0.2, max=3600, help="Seconds between two pages.")] = 2.0,
    url: Url = "",
    key: Key = "",
) -> None:
    """Show running replies, workers, speed and problems of a gateway, until Ctrl-C."""
    url = url or url_of_settings(load_settings())
    try:
        if once or not sys.stdout.isatty():
            typer.echo("\n".join(page_of(url, take_snapshot(url, key), None, WIDE, HIGH)))
            return
        screen = Screen()
        with screen.open():
            _show(screen, url, key, interval)
    except KeyboardInterrupt:
        return
    except CannotAnswer as error:
        fail(printable(f"{error}. What is wrong: sluice doctor"))
    except NoGateway as error:
        fail(f"{error}. Start it, or give its address with --url or SLUICE_URL.")
    except Refused as error:
        fail(printable(str(error)))


def _show(screen: Screen, url: str, key: str, interval: float) -> None:
    """Draw a page every `interval` seconds, and the last one again after a resize."""
    before: Snapshot | None = None
    while True:
        try:
            now, away = take_snapshot(url, key), ""
        except NoGateway as error:
            now, away, before = None, f"{error}. It is asked again every {interval:g} s.", None
        due = time.monotonic() + interval
        while True:
            width, height = screen.size()
            screen.draw(
                [cut(printable(away), width)] if now is None else page_of(url, now, before, width, height)
            )
            if not screen.wait(max(0.0, due - time.monotonic())):
                break
        before = now
