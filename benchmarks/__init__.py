"""Benchmarks: one file a question. ``python -m benchmarks.NAME [--quick]`` prints a table and writes its JSON."""
