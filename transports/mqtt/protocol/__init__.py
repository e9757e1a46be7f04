"""Topics and frames of the protocol. Pure."""
