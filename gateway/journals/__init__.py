"""Where the event logs of replies are held; each one implements gateway.contract.journal.Journal."""
