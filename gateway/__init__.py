"""Sluice: one chat endpoint in front of language models that answer over HTTP or over MQTT."""
