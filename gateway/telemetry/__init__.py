"""Logging to standard error, without blocking and without secrets."""
