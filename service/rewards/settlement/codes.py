"""The ten ways in which two sides can differ, who looks at each first, and how it may end."""

from collections.abc import Mapping
from typing import Final, Literal

Resolution = Literal["accept_partner", "accept_ours", "reverse", "write_off"]

FIRST_OWNER: Final[Mapping[str, str]] = {
    "MISSING_AT_PARTNER": "partner",
    "MISSING_HERE": "platform",
    "STATE_MISMATCH": "platform",
    "AMOUNT_MISMATCH": "partner",
    "TERMS_MISMATCH": "platform",
    "DUPLICATE_LINE": "partner",
    "LATE": "platform",
    "UNKNOWN_REFERENCE": "partner",
    "SUBJECT_MISMATCH": "platform",
    "TOTAL_MISMATCH": "partner",
}
"""Who is asked first; staff may be named later."""

ALLOWED: Final[Mapping[str, tuple[Resolution, ...]]] = {
    "MISSING_AT_PARTNER": ("accept_ours", "reverse", "write_off"),
    "MISSING_HERE": ("accept_partner", "accept_ours", "write_off"),
    "STATE_MISMATCH": ("accept_partner", "accept_ours", "reverse", "write_off"),
    "AMOUNT_MISMATCH": ("accept_partner", "accept_ours", "reverse", "write_off"),
    "TERMS_MISMATCH": ("accept_ours", "reverse", "write_off"),
    "DUPLICATE_LINE": ("accept_ours", "write_off"),
    "LATE": ("accept_partner", "accept_ours", "write_off"),
    "UNKNOWN_REFERENCE": ("accept_ours", "write_off"),
    "SUBJECT_MISMATCH": ("accept_ours", "reverse", "write_off"),
    "TOTAL_MISMATCH": ("accept_partner", "accept_ours", "write_off"),
}
"""How each may be resolved; see docs/settlement.md for what follows."""
