"""What partners offer, on which terms, and how much of it is taken."""
