"""HTTP: parses requests, calls the core and writes responses. Only this package imports fastapi."""
