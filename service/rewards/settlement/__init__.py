"""What is settled with a partner each day, and where the two sides differ."""
