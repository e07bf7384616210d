"""Ten times what the service can answer, and one domain that floods beside another that does not."""
