"""Lenient reading of other programs: JSON that strict decoders refuse, and errors of any shape."""
