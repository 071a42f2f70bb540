"""The rules in force: the scheme's own, and the library with what authorities have entered."""
