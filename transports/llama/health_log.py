"""The log lines about the health of one model server."""

import logging

from gateway.contract.transport import Health

log = logging.getLogger("sluice.servers")


class HealthLog:
    """Logs when the server becomes unreachable and when it is ready again.

    Args:
        setting: name of the setting that holds `root`; None: nothing is logged.
        root: the server's URL.
    """

    def __init__(self, setting: str | None, root: str) -> None:
        self._setting = setting
        self._root = root
        self._health: Health | None = None

    def note(self, health: Health) -> None:
        was, self._health = self._health, health
        if self._setting is None:
            return
        if not health.ok and (was is None or was.ok):
            log.warning(
                "%s. Replies fail until a model server is there: start it, or correct %s",
                health.detail,
                self._setting,
            )
        elif health.ok and was is not None and not was.ok:
            log.info("%s=%s: the model server is ready", self._setting, self._root)
