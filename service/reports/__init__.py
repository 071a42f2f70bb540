"""What is told of the whole and of one person: sums, and a report that she herself carries."""
