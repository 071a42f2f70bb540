"""Consent to a partner: what it may know of a citizen, what for and until when; by her alone."""
