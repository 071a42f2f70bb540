"""Documents that a partner verifies without asking us."""
