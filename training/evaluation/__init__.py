"""Evaluation that says more than one number: of whom a system serves well, and of what it puts before them."""
