"""The endpoint table: one entry for each method at each path."""
