"""The published files themselves, where they lie beside the repository; none of them is in it."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Read = Callable[..., Any]

DATA = Path(os.environ.get("CARBON_SHARED", "../shared")) / "data"

pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason="no published records beside the repository (CARBON_SHARED)"
)


@pytest.fixture
def read_real(read: Read) -> Read:
    def read_real(name: str, *files: str) -> Any:
        return read(name, *(DATA / file for file in files))

    return read_real


def test_shenzhen_taps_pair_as_their_description_counts(read_real: Read) -> None:
    folder = "transit_shenzhen_card"

    lines, counts = read_real(
        "shenzhen-card", f"{folder}/metro_stations.csv", f"{folder}/swipes.csv.gz"
    )

    behaviors = Counter(line.behavior for line in lines)
    pairless = ("station-unknown", "same-station")
    assert counts.rows_read == 29_596
    assert behaviors["metro_ride"] + sum(counts.dropped[why] for why in pairless) // 2 == 395
    assert counts.dropped["entry-without-exit"] == 7_286 + 6  # 6 are followed by a second entry
    assert counts.dropped["exit-without-entry"] == 6_986
    assert counts.dropped["duplicate-row"] + counts.dropped["companion-tap"] == 16
    assert len({line.external_id for line in lines}) == len(lines)
    longest_m = max(line.activity_data.get("distance_m", 0) for line in lines)
    assert 21_000 < longest_m <= 21_600


def test_mobike_rides_are_rides_unless_they_went_nowhere(read_real: Read) -> None:
    lines, counts = read_real("mobike", "bike_mobike_shanghai/trips.csv")

    assert counts.rows_read == 3_000
    assert set(counts.dropped) == {"distance-zero"}
    assert len({line.external_id for line in lines}) == len(lines) > 2_950


def test_valleybike_tracks_become_rides_unless_they_are_false_starts(read_real: Read) -> None:
    lines, counts = read_real("valleybike", "ebike_valleybike/points.csv.gz")

    assert counts.rows_read == 116_695
    assert counts.dropped["single-point"] == 4
    assert len(lines) == 414 - 72  # as the description counts trips below 100 m


def test_charging_sessions_become_lines_unless_nothing_flowed(read_real: Read) -> None:
    lines, counts = read_real("ev-sessions", "ev_workplace_us/sessions.csv")

    assert counts.rows_read == 2_555
    assert counts.dropped == {"energy-zero": 37}
    assert {line.started_at.year for line in lines} == {2014, 2015}


def test_home_pv_hours_belong_to_days(read_real: Read) -> None:
    folder = "home_pv_fontana"

    lines, counts = read_real("home-pv", f"{folder}/hourly.csv.gz", f"{folder}/buildings.csv")

    assert counts.rows_read == 52_560
    assert set(counts.dropped) == {"generation-zero"}
    assert counts.reference.rows_read == len({line.account_ref for line in lines}) == 6
    assert len({(line.account_ref, line.started_at) for line in lines}) == len(lines)


def test_recycling_loads_are_all_explained(read_real: Read) -> None:
    folder = "recycling_us_city"

    lines, counts = read_real("recycling-loads", f"{folder}/austin_loads.csv")
    _, months = read_real(
        "recycling-loads",
        f"{folder}/nyc_tonnage_export_2020.csv",
        f"{folder}/nyc_tonnage_export_2023.csv",
    )

    assert lines == []
    assert (counts.rows_read, counts.dropped) == (336, {"weight-missing": 3})
    assert (months.rows_read, months.parsed_without_account) == (2 * 1_416, 1_416)
    assert 2 * 59 <= months.dropped["restated-row"] <= 2 * 59 + 4
