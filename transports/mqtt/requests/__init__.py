"""The gateway's side: presence, dispatch and pending requests."""
