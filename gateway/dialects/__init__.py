"""Dialects: encoders from reader events to frames, without I/O. Each has its own module."""
