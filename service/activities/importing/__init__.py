"""Import: an operator's own file goes the way of every feed."""
