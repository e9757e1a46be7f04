"""The worker's side: serves any Transport to gateways."""
