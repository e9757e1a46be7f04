"""Exact limits of several gateways, counted in Redis. Nothing else uses Redis."""
