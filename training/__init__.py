"""The offline module: one file a stage, from raw data to verified artifacts."""
