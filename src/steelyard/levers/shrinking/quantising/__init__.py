"""Weights in fewer bits: how they are held, what computes on them, and how far answers move."""
