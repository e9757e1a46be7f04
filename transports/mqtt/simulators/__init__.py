"""A device and a worker that the gateway plays, for people who watch the frames."""
