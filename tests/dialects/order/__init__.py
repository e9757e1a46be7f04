"""Readers that are stricter than any client: they fail where frames come in a wrong order or shape."""
