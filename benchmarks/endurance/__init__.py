"""Half an hour of everything at once, and what is left of it in memory, open files and threads."""
