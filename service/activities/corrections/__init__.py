"""What was recorded turns out to be wrong: restated by its source, or invalidated by the scheme."""
