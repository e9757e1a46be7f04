"""ejabberd of the Debian package, as a node on loopback."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.brokers.erlang import COOKIE, LOOPBACK, Erlang
from tests.brokers.running_broker import RunningBroker, require_program

SHIPPED = Path(__file__).parents[2] / "deploy/ejabberd/ejabberd.yml"
OPEN = """
hosts: [localhost]
loglevel: info
auth_method: [anonymous]
anonymous_protocol: login_anon
allow_multiple_connections: true
listen:
  - port: 1883
    module: mod_mqtt
    max_payload_size: 270336
modules:
  mod_mqtt: {session_expiry: 0}
"""


class Ejabberd(RunningBroker):
    """settings: ejabberd.yml, of which the port becomes ours."""

    ready = "Start accepting TCP connections"

    def __init__(self, folder: Path, erlang: Erlang, *, name: str = "ejabberd", settings: str = OPEN) -> None:
        super().__init__(folder)
        self.node = f"{name}@localhost"
        self._erlang = erlang
        where = f'port: {self.address.port}\n    ip: "127.0.0.1"'
        ours, found = re.subn("port: 1883", where, settings)
        assert found == 1
        self._settings = folder / "ejabberd.yml"
        self._settings.write_text(re.sub("loglevel: .*", "loglevel: info", ours))

    def command(self) -> Sequence[str]:
        code = sorted(Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.beam"))
        require_program(bool(code), "ejabberd")
        mnesia = ("-mnesia", "dir", f'"{self.folder / "mnesia"}"')
        return (
            "erl",
            "-noinput",
            "-sname",
            self.node,
            "-setcookie",
            COOKIE,
            *LOOPBACK,
            *mnesia,
            "-s",
            "ejabberd",
        )

    def environment(self) -> Mapping[str, str]:
        (libraries,) = {file.parents[2] for file in Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.beam")}
        return {
            **self._erlang.environment,
            "ERL_LIBS": str(libraries),
            "EJABBERD_CONFIG_PATH": str(self._settings),
            "EJABBERD_LOG_PATH": str(self.folder / "ejabberd.log"),
        }

    async def register(self, name: str, password: str) -> None:
        """As `ejabberdctl register` does."""
        made = f'ejabberd_auth:try_register(<<"{name}">>, <<"localhost">>, <<"{password}">>)'
        self._succeeded(await self._erlang.call(self.node, made))

    async def join(self, other: "Ejabberd") -> None:
        """As `ejabberdctl join_cluster` does."""
        self._succeeded(await self._erlang.call(self.node, f"ejabberd_cluster:join({other.node})"))

    @staticmethod
    def _succeeded(result: str) -> None:
        assert result == "{ok, ok}", result
