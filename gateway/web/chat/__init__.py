"""Sending messages, and streaming, resuming and stopping replies. Each request form has its own module."""
