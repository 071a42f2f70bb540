"""Provenance: where the grams of a transfer come from, and the same grams computed again."""
