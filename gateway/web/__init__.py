"""HTTP: the only home of fastapi. It reads requests, hands them to the core and writes what comes back."""
