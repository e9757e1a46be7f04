"""Authentication and access by browsers and proxies: API keys, tickets, open mode, CORS."""
