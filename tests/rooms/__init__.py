"""Participants of rooms, and the JSON of a room's events."""
