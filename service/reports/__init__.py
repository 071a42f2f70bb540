"""What the public may know of the whole: sums only, read and never written."""
