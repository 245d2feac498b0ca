"""Bundles of tables as a header of C99."""
