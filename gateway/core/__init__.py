"""The logic of Sluice, on asyncio and gateway.contract only: no HTTP, no SQL, no MQTT."""
