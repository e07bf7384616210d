"""Nearest items of user vectors: one protocol, three kinds of index behind it."""
