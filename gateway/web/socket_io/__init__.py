"""socket.io: python-socketio's protocol, with our sockets, limits and authentication."""
