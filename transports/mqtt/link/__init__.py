"""The connection to the broker; the only package that knows an MQTT library."""
