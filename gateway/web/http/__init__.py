"""HTTP below the endpoints: the connection, the SSE writer, bodies, errors and routes."""
