"""Stops of all replies of a session."""

from pathlib import Path

from gateway.contract.events import Delta
from gateway.core.access import OwnerAccess
from gateway.core.run import ABANDONED
from gateway.core.stops import Stops
from gateway.store.local_signals import LocalHub, LocalSignals
from tests.core.house import USER, house


async def test_a_reply_of_the_session_that_ends_meanwhile_is_no_error(tmp_path: Path) -> None:
    async with house(tmp_path, lambda _: [[Delta("Hel")]]) as home:
        first = await home.ask("Hi")
        session = await home.store.session(USER, first.exchange.session_id)
        second = await home.ask("Hi again", session.id)
        second.settle(ABANDONED)
        await Stops(home.runs, home.store, OwnerAccess(), LocalSignals("a", LocalHub())).stop_session(
            session, USER
        )
        assert home.runs.of_session(session.id) == []
