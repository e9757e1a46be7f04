"""Workers and devices behind an MQTT broker."""
