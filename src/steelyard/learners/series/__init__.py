"""Learners that forecast: each answers from a row's own history, so that one model serves every series."""
