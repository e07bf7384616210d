"""Recommendations and similar items."""
