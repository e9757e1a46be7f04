"""The wire as data: scenarios that gateways and workers in any language can be held to."""
