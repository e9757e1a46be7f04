"""One gateway process: the server, its event loop and its signals."""
