"""Connections to model servers and workers; each implements gateway.contract.transport.Transport."""
