"""Backup and restore of what Redis keeps: ``vqrec backup`` and ``vqrec restore``."""
