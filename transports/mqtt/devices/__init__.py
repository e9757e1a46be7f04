"""Devices that chat: their questions and the frames they read."""
