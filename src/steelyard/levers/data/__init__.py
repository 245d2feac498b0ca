"""Levers that change the rows and labels that train: ``subsample``, ``clean``. Validation rows are never touched."""
