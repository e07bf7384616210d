"""The catalogues: records in Redis, and the snapshots that every replica makes of them."""
