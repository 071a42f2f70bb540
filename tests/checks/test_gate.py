"""The checks, run small: the commands work, and what they promise holds for some seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_S = 240


@pytest.mark.parametrize(
    "words",
    [
        ("bank", "--seconds", "3"),
        ("race", "--rounds", "2", "--case", "same_id", "drain", "captures", "last_unit", "ends"),
        ("kill", "--rounds", "1", "--target", "worker", "postgres"),
        ("redeem", "--rounds", "1", "--target", "worker", "postgres"),
        ("webhookfaults", "--seconds", "2"),
    ],
    ids=lambda words: words[0],
)
def test_a_small_run_passes(words: tuple[str, ...]) -> None:
    name, *terms = words

    done = subprocess.run(
        [sys.executable, "-m", f"checks.{name}", *terms],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"{name}: passed, 0 faults")
