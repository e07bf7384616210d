"""OpenTelemetry traces, laid around the service when it starts: while they are off, a request meets nothing of them."""
