"""What Sluice does, in asyncio and the contract's words: it knows no HTTP, no SQL and no MQTT."""
