"""How each frontend wants to read a reply: pure encoders from reader events to SSE frames, one file each."""
