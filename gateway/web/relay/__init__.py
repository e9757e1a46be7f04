"""Requests whose reply another gateway on the same database makes: they are sent to that gateway."""
