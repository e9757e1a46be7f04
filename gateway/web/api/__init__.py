"""The JSON endpoints and pages: sessions, templates, usage, workers, metrics, health."""
