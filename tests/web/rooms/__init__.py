"""Rooms through the whole gateway, on all kinds of sockets."""
