"""`sluice top`: streams, workers and problems of a running gateway, live in the terminal."""
