"""Traces by OTLP: the only folder with OpenTelemetry, imported only if traces are configured."""
