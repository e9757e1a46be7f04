"""Ways to bring a reply from where models live; each one implements gateway.contract.transport.Transport."""
