"""Appeals: a citizen asks a human to look again, and what an upheld appeal brings about."""
