"""Training a finished graph on: its rows, its loss, and the loop."""
