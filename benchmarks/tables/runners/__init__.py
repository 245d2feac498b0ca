"""One file a tool: how its documentation says to fit it, to keep it, and to ask it.

These run inside the environments of the tools; they know nothing of rows, bars, or test targets.
"""
