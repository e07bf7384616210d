"""The online service: one folder a feature, endpoints ─► service ─► repository. It never imports torch or training."""
