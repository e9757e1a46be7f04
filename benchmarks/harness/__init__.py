"""The Python half of the benchmark: starts what is measured, puts load on it, counts what it spends."""
