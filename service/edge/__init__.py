"""Where connections end: what is admitted, what is refused before it costs anything, and who is cut off."""
