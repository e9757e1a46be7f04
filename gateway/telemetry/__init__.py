"""Logs: lines on standard error that never block and never hold a secret."""
