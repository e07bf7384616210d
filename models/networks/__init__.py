"""The networks, in torch. Training alone imports them; the service runs what they were exported to."""
