"""The gateway's listening socket."""

import asyncio
import contextlib
import socket

import pytest

from gateway.process.event_loop import event_loop_factory
from gateway.process.listeners import for_crowds
from gateway.process.serve import listen
from gateway.settings import Settings, SettingsError


def test_of_two_gateways_that_start_at_once_on_one_port_the_second_says_so() -> None:
    with listen(Settings(_env_file=None, host="127.0.0.1", port=0)) as first:
        port = first.getsockname()[1]
        with pytest.raises(SettingsError, match=f"PORT={port} cannot be used: Address already in use"):
            listen(Settings(_env_file=None, host="127.0.0.1", port=port))


def test_a_crowd_of_clients_is_accepted_in_a_few_turns_of_the_loop() -> None:
    crowd = 64

    async def accepted_within(turns: int, listener: socket.socket) -> int:
        loop = asyncio.get_running_loop()
        accepted = 0

        class Client(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                nonlocal accepted
                accepted += 1
                transport.close()

        servers = [await loop.create_server(Client, sock=each) for each in for_crowds(listener)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for server in servers:
            server.close()
        return accepted

    settings = Settings(_env_file=None, host="127.0.0.1", port=0)
    with listen(settings) as listener, contextlib.ExitStack() as clients:
        for _ in range(crowd):
            clients.enter_context(socket.create_connection(listener.getsockname()))
        with asyncio.Runner(loop_factory=event_loop_factory()) as runner:
            assert runner.run(accepted_within(crowd // 4, listener)) == crowd
