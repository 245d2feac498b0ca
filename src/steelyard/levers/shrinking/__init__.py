"""Levers that make a finished graph cheaper to serve: ``quantise``. The graph they start from is always kept."""
