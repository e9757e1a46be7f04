"""The gateway process: server, event loop and signals."""
