"""Serving beside what a user would pick instead: throughput and latency over HTTP under an open-loop load."""
