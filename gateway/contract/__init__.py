"""The words everybody shares: requests, events, errors and the seams. Standard library only."""
