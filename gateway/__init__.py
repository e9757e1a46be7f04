"""Sluice: one chat endpoint in front of language models that are reached over HTTP or MQTT."""
