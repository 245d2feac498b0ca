"""Report: one structure, and four views of it: the terminal, JSON, a page, a model card."""

from steelyard.report.build import VERSION, build
from steelyard.report.compare import compare, show_compared
from steelyard.report.model_card import card
from steelyard.report.money_tables import show_ledger, show_prices
from steelyard.report.tables import inspection_json, show_evaluation, show_inspection, show_rows
from steelyard.report.terminal import show, show_returns
from steelyard.report.web import page

__all__ = [
    "VERSION",
    "build",
    "card",
    "compare",
    "inspection_json",
    "page",
    "show",
    "show_compared",
    "show_evaluation",
    "show_inspection",
    "show_ledger",
    "show_prices",
    "show_returns",
    "show_rows",
]
