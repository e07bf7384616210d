"""Results ─► a report: Markdown, one HTML file that needs no other, and the runs as JSON."""
