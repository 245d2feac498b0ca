"""Students and what they are taught: lessons, rows made beside the real ones, encoders of fewer layers, tables."""
