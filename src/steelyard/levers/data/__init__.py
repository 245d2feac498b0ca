"""Levers that change the rows and labels that train: ``subsample``. Validation rows are never touched."""
