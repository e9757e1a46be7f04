"""The plain WebSocket: admission, frames from clients, and the interface for what speaks on it."""
