"""Bounded load on loopback against the real server, with a figure and a ratio for each promise."""
