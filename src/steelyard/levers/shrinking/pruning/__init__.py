"""Which parts of a graph go together, what they are worth, and the graph without them."""
