"""How green a citizen is, by published rules, with the reasons."""
