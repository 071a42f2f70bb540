"""Certification: what waits is closed into batches, decided by a verifier, and carried out."""
