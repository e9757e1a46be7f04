"""Watches the connection to the MQTT broker."""


class BrokerWatch:
    """Attributes: `connected` now, and `lost`, the number of connections that were lost."""

    def __init__(self) -> None:
        self.connected = False
        self.lost = 0

    def changed(self, connected: bool) -> None:
        """Note the state. Called when the connection is made or lost, and when the first attempt fails."""
        self.lost += self.connected and not connected
        self.connected = connected
