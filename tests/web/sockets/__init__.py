"""The WebSocket through the whole gateway."""
