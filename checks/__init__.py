"""Checks: what the service promises, tried by force against a real one.

Each is one command, replays from its seed, is bounded in count and time, prints what it has counted
and one closing line, and ends with status 1 if a promise was broken. They use the service as its
callers do; nothing in `service` knows of them.
"""
