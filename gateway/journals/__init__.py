"""Implementations of gateway.contract.journal.Journal, which holds the event logs of replies."""
