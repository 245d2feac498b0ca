"""Machines and functions that can be rented."""

from steelyard.money.catalogue.rows import Function, Machine

__all__ = ["Function", "Machine", "functions", "machines"]


def machines() -> tuple[Machine, ...]:
    """Return the machine types of the catalogue."""
    return ()


def functions() -> tuple[Function, ...]:
    """Return the pay-per-use functions of the catalogue."""
    return ()
