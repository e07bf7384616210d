"""What is served, domain by domain."""
