"""Rooms as sockets and event streams see them: the events of clients, and the JSON of the room's events."""
