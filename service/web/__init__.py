"""The HTTP edge: knows requests, callers and problems; knows nothing of carbon."""
