"""All checks, one after another: `gate` before a submission, `deep` before a release.

python -m checks gate --seed 1
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]

TIERS: Final = {
    "gate": {
        "bank": ("--seconds", "20"),
        "set_full": ("--seconds", "15"),
        "race": ("--rounds", "20"),
        "redis": ("--rounds", "3"),
        "restore": (),
        "kill": ("--rounds", "3"),
        "redeem": ("--rounds", "1"),
        "webhookfaults": ("--seconds", "5"),
    },
    "deep": {
        "bank": ("--seconds", "120"),
        "set_full": ("--seconds", "60"),
        "race": ("--rounds", "200"),
        "redis": ("--rounds", "10"),
        "restore": (),
        "kill": ("--rounds", "20"),
        "redeem": ("--rounds", "10"),
        "webhookfaults": ("--seconds", "60"),
    },
}


def main(given: Sequence[str] | None = None) -> int:
    """Run every check of a tier, whatever the others say; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tier", choices=TIERS)
    parser.add_argument("--seed", default="1")
    asked = parser.parse_args(given)
    began_at = time.monotonic()
    checks = TIERS[asked.tier]
    failed = [name for name, terms in checks.items() if not _passes(name, terms, asked.seed)]
    minutes = (time.monotonic() - began_at) / 60
    result = f"FAILED: {', '.join(failed)}" if failed else "passed"
    print(f"checks, {asked.tier}: {len(checks)} run, {minutes:.1f} min, {result}")
    return 1 if failed else 0


def _passes(name: str, terms: Sequence[str], seed: str) -> bool:
    command = [sys.executable, "-m", f"checks.{name}", *terms, "--seed", seed]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
