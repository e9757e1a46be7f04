"""The Python half of the benchmark: starts the gateways, loads them and measures their CPU and memory."""
