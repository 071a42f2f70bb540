"""Limits that no methodology sets: the scheme's own rules against fraud and impossible trips."""

from service.methodologies.methodology import Cap, Plausibility

SCHEME_RULE = (
    "Starting value of the scheme's own fraud rules, not taken from a methodology: "
    "it only ever refuses, and never adds a gram."
)
DAY_S = 86_400

TWELVE_A_DAY = (Cap(period="day", limit=12, source=SCHEME_RULE),)
"""Twelve claims of one behavior a day, where the sources publish no cap."""


def believable_trip(max_speed_kmh: int, max_distance_m: int = 200_000) -> Plausibility:
    """Limits of one trip: its mean speed, its length, and no longer than a day."""
    return Plausibility(
        source=SCHEME_RULE,
        max_speed_kmh=max_speed_kmh,
        max_distance_m=max_distance_m,
        max_duration_s=DAY_S,
    )
