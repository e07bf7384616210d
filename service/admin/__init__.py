"""Adapters: put, rolled back, watched; whole domains deleted."""
