"""The partner guide, command by command, and other partners than a good bank beside the service."""

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.conftest import ROOT, Installation

GUIDE = ROOT / "docs" / "partner-guide.md"
LONGEST_S = 400

FLAKY = """
carbon partner add --name flaky-shop --role merchant --jwks $home/bank-jwks.json \\
  --reach loopback --status-url http://127.0.0.1:9011/benefits --signatures required \\
  > $home/shop.json
shop_id=$(field client_id < $home/shop.json)
carbon partner simulate --profile flaky --url $base --client-id $shop_id --sign --seed 5 \\
  --habit spread_s=1 --habit late_s=1 --habit hang_s=2 --habit never=0.3 --habit twice=0.7 \\
  --key $home/bank-key.json --port 0 --poll-s 1 > $home/flaky.jsonl &
simulator=$!
until grep -q listening $home/flaky.jsonl; do sleep 0.2; done
offer=$(curl -sS --fail-with-body $base/v1/offers -H "Authorization: Bearer $lin" \\
  -H "Idempotency-Key: $(key)" -H 'Content-Type: application/json' -d '{"partner": "flaky-shop",
  "name": "mug", "terms": {"title": {"zh": "杯子", "en": "Mug"}, "mode": "burn", "points": 20,
    "benefit": {"kind": "goods", "sku": "mug-1", "description": "A mug"},
    "subsidy_minor": 0, "payer": "PARTNER", "reversal": {"window_days": 30},
    "valid_from": "'$(date -u +%FT00:00:00Z)'",
    "valid_to": "'$(date -u -d '1 year' +%FT00:00:00Z)'"}}' | field id)
change=$(post $lin /v1/change-requests '{"offer_id": "'$offer'", "kind": "activation",
  "offer_version": 1, "expected_current": {"state": "draft"}, "reason": "as agreed"}' | field id)
carbon staff add --name wang --role operator > $home/wang.json
wang=$(curl -sS $base/v1/auth/staff-tokens -H 'Content-Type: application/json' \\
  -d '{"name": "wang", "password": "'$(field password < $home/wang.json)'"}' | field access_token)
post $wang /v1/change-requests/$change/decisions '{"decision": "approve", "reason": "as filed"}'
consent=$(post $citizen /v1/consents '{"partner": "flaky-shop", "purpose": "benefit",
  "data_clusters": ["redemption"], "valid_to": "'$(date -u -d '30 days' +%FT%TZ)'"}' | field id)
wished=0
until test $wished -ge 12 && grep -q '"never"' $home/flaky.jsonl \
  && grep -q '"captured again"' $home/flaky.jsonl || test $wished -ge 24; do
  redeem
  wished=$((wished + 1))
  sleep 0.3
done
until test $(grep -c '"decided"' $home/flaky.jsonl) = $wished; do sleep 0.5; done
sleep 3
wish=$(grep '"never"' $home/flaky.jsonl | head -n 1 | field id)
post $citizen /v1/redemptions/$wish/voids '{"reason": "customer-withdrew"}'
until grep -q '"did": "voided"' $home/flaky.jsonl; do sleep 0.5; done
post $citizen /v1/consents/$consent/revocations '{}'
until grep -q '"did": "acknowledged"' $home/flaky.jsonl; do sleep 0.5; done
curl -sS "$base/v1/redemptions?limit=100" -H "Authorization: Bearer $citizen" > $home/hers.json
kill $simulator
wait $simulator || true
"""
"""A shop that does everything wrong that a partner can, and signs what it says."""


@pytest.fixture(scope="module")
def told(installation: Installation) -> Iterator[str]:
    """What the guide and the flaky shop printed, in one shell, beside one service."""
    with installation.serving():
        yield played(installation)


def a_free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def played(installation: Installation) -> str:
    """Run every shell block of the guide as it stands, but for the ports that it names."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", GUIDE.read_text(), re.DOTALL | re.MULTILINE)
    # What the shell leaves behind would keep its output open, and the test waiting.
    ends = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"
    written = "\n".join(["set -eo pipefail", ends, *blocks, FLAKY])
    banks, hooks = a_free_port(), a_free_port()
    script = (
        written.replace("9010", banks)
        .replace("9020", hooks)
        .replace("--profile bank", f"--profile bank --port {banks}")
    )
    folders = (str(installation.folder), str(Path(sys.executable).parent), os.environ["PATH"])
    installation.run("--help")  # puts the `carbon` in place
    ran = subprocess.run(
        ["bash", "-c", script],
        cwd=installation.folder,
        env={
            **os.environ,
            "PATH": os.pathsep.join(folders),
            "CARBON_HOME": str(installation.home),
            "PORT": str(installation.port),
        },
        capture_output=True,
        text=True,
        timeout=LONGEST_S,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
    return ran.stdout


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


class TestTheGuide:
    def test_leads_from_the_first_key_to_an_accepted_batch(self, told: str) -> None:
        assert "the same capture" in told
        assert '"code":"MISSING_AT_PARTNER"' in told
        assert '"state":"accepted"' in told

    def test_lets_the_simulated_bank_capture(self, told: str, installation: Installation) -> None:
        assert told
        done = [line["did"] for line in lines_of(installation.home / "simulated.jsonl")]

        assert {"listening", "heard", "decided", "captured", "file sent", "ended"} <= set(done)


class TestAFlakyPartnerThatSigns:
    def test_leaves_every_redemption_where_its_book_says(
        self, told: str, installation: Installation
    ) -> None:
        assert told
        deeds = {
            line["id"]: line["deed"]
            for line in lines_of(installation.home / "flaky.jsonl")
            if line["did"] == "decided"
        }
        voided = next(each for each, deed in deeds.items() if deed == "never")
        hers = json.loads((installation.home / "hers.json").read_text())["items"]
        states = {each["id"]: each["state"] for each in hers if each["id"] in deeds}

        expected = {"capture": "captured", "decline": "declined"}
        assert states == {each: expected.get(deed, "submitted") for each, deed in deeds.items()} | {
            voided: "voided"
        }

    def test_captures_once_what_it_says_twice(self, told: str, installation: Installation) -> None:
        assert told
        repeated = [
            line["is_same"]
            for line in lines_of(installation.home / "flaky.jsonl")
            if line["did"] == "captured again"
        ]

        assert repeated
        assert all(repeated)
