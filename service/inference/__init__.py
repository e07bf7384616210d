"""What computes: the micro-batcher, the recommender behind it, the index, and text encoding."""
