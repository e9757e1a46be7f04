"""Asking, streaming, resuming and stopping; one file per request form."""
