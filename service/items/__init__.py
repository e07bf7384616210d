"""The items of a domain: written to Redis, answered when this process serves them."""
