"""RabbitMQ of the Debian package with its MQTT plugin, as a node on loopback."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.brokers.erlang import COOKIE, LOOPBACK, Erlang
from tests.brokers.running_broker import RunningBroker, require_program
from tests.live.brokers import free_port

DEPLOY = Path(__file__).parents[2] / "deploy/rabbitmq"
OPEN = "mqtt.listeners.tcp.default = 1883\nmqtt.allow_anonymous = true\nmqtt.prefetch = 200\n"
NODE = "rabbit@localhost"


class RabbitMQ(RunningBroker):
    """settings: rabbitmq.conf, of which the port becomes ours."""

    ready = "Server startup complete"

    def __init__(self, folder: Path, erlang: Erlang, settings: str = OPEN) -> None:
        super().__init__(folder)
        self._erlang = erlang
        ours = f"mqtt.listeners.tcp.1 = 127.0.0.1:{self.address.port}"
        settings, found = re.subn(r"(?m)^mqtt\.listeners\.tcp\.default = 1883$", ours, settings)
        assert found == 1
        (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{free_port()}\n{settings}")
        (folder / "enabled_plugins").write_text("[rabbitmq_mqtt].\n")

    @staticmethod
    def program(name: str) -> str:
        """A script of RabbitMQ itself: Debian's runs it as another user."""
        found = sorted(Path("/usr/lib/rabbitmq/lib").glob(f"*/sbin/{name}"))
        require_program(bool(found), "rabbitmq-server")
        return str(found[-1])

    def command(self) -> Sequence[str]:
        return (self.program("rabbitmq-server"),)

    def environment(self) -> Mapping[str, str]:
        return {
            **self._erlang.environment,
            "RABBITMQ_NODENAME": NODE,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_FEATURE_FLAGS_FILE": str(self.folder / "feature_flags"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ERL_ARGS": " ".join(("-setcookie", COOKIE, *LOOPBACK)),
        }
