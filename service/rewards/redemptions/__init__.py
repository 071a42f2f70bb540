"""A redemption from its quote to its end, every step a record."""
