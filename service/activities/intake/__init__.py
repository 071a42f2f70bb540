"""Intake: from the bytes of a feed to verdicts and points, and reading back what was recorded."""
