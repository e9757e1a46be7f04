"""Types that all other packages share: requests, events, errors and interfaces. Standard library only."""
