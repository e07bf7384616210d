"""What the item codes are measured against, in the same harness: each baseline is a scorer of the whole catalogue."""
