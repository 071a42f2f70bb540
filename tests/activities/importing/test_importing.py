"""`carbon import`: every row and line accounted for, the same files twice recorded once."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey

from service import clock
from service.activities.feeds import FeedColumnsMissing, ReadCounts
from service.activities.importing.command import import_command
from service.activities.importing.totals import ImportTotals
from service.activities.intake.desk import Intake
from service.identity.simulated import create_simulated_citizens
from service.identity.source_links import account_digest
from service.methodologies.errors import RegionUnknown
from service.partners.errors import PartnerUnknown
from service.partners.organisations import PartnerTerms, add_partner, partner_by_name, set_state
from service.runtime import Runtime

RIDES = "orderid,userid,start_time,end_time,start_lng,start_lat,end_lng,end_lat"
SHANGHAI, SHENZHEN = "310000", "440300"

Import = Callable[..., Result]


def ride(order: str, rider: str, start: str = "08:00", end: str = "08:20") -> str:
    """About two kilometres east, on a day long ago."""
    day = "2016-08-01"
    return f"{order},{rider},{day} {start},{day} {end},121.400,31.200,121.420,31.200"


@pytest.fixture
def yesterday() -> str:
    return (clock.today() - timedelta(days=1)).isoformat()


@pytest.fixture
def rides(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: str) -> Path:
        path = tmp_path / "rides.csv"
        path.write_text("\n".join([RIDES, *rows, ""]))
        return path

    return write


@pytest.fixture
def run_import(fresh_runtime: Runtime) -> Import:
    def run(*words: object) -> Result:
        return CliRunner().invoke(import_command, [str(word) for word in words], obj=fresh_runtime)

    return run


@pytest.fixture
def totals_of(run_import: Import) -> Callable[..., dict[str, Any]]:
    def totals_of(*words: object) -> dict[str, Any]:
        result = run_import(*words, "--json")
        assert result.exit_code == 0, result.output
        totals: dict[str, Any] = json.loads(result.stdout)
        assert_adds_up(totals)
        return totals

    return totals_of


def assert_adds_up(totals: dict[str, Any]) -> None:
    rows, behaviors = totals["rows"], totals["behaviors"].values()
    assert rows["read"] == rows["used"] + sum(rows["dropped"].values()) + rows["without_account"]
    assert totals["lines"] == sum(totals["verdicts"].values())
    assert totals["lines"] == sum(behavior["lines"] for behavior in behaviors)
    assert totals["verdicts"]["refused"] == sum(totals["refused"].values())


def a_source(runtime: Runtime, name: str, region: str | None = SHANGHAI) -> UUID:
    public_key = ECKey.generate_key("P-256").as_dict(private=False)
    terms = PartnerTerms(name, frozenset({"source"}), {"keys": [public_key]}, region)
    with runtime.database.raw_transaction() as connection:
        return add_partner(connection, terms).id


def stored(runtime: Runtime, query: str) -> list[Any]:
    with runtime.database.raw_transaction() as connection:
        return connection.execute(query).fetchall()


class TestOldFiles:
    def test_are_played_today_by_people_who_are_made_up(
        self,
        fresh_runtime: Runtime,
        totals_of: Callable[..., dict[str, Any]],
        rides: Callable[..., Path],
        yesterday: str,
    ) -> None:
        file = rides(
            ride("1", "ann"),
            ride("2", "ann", "08:10", "08:30"),
            ride("3", "bob"),
            ride("3", "bob"),
            ride("4", ""),
        )

        totals = totals_of(
            "mobike", file, "--link", "--region", "Shanghai", "--shift-to", yesterday
        )

        assert totals["rows"]["dropped"] == {"account-missing": 1}
        assert totals["verdicts"] == {
            "certified": 2,
            "pending": 0,
            "duplicate": 1,
            "conflict": 0,
            "refused": 1,
        }
        assert totals["refused"] == {"overlap": 1}
        assert totals["citizens_made"] == 2
        assert totals["behaviors"]["shared_bike_ride"]["reduction_g"] > 0
        assert stored(fresh_runtime, "SELECT DISTINCT simulated FROM activity") == [(True,)]
        assert stored(fresh_runtime, "SELECT DISTINCT simulated FROM citizen") == [(True,)]

    def test_are_only_duplicates_the_second_time(
        self, totals_of: Callable[..., dict[str, Any]], rides: Callable[..., Path], yesterday: str
    ) -> None:
        words = ("mobike", rides(ride("1", "ann"), ride("2", "bob")), "--link")
        options = ("--region", SHANGHAI, "--shift-to", yesterday)
        totals_of(*words, *options)

        again = totals_of(*words, *options)

        assert again["verdicts"]["duplicate"] == again["lines"] == 2
        assert again["citizens_made"] == 0

    def test_moved_to_another_day_contradict_themselves_and_are_told_so(
        self, run_import: Import, rides: Callable[..., Path], yesterday: str
    ) -> None:
        file = rides(ride("1", "ann"))
        run_import("mobike", file, "--link", "--shift-to", yesterday)

        result = run_import(
            "mobike", file, "--link", "--shift-to", date.fromisoformat(yesterday) - timedelta(1)
        )

        assert "conflict" in result.stdout
        assert "use the --shift-to of the first time" in result.stderr

    def test_leave_no_trace_unless_they_are_moved(
        self,
        fresh_runtime: Runtime,
        run_import: Import,
        rides: Callable[..., Path],
        yesterday: str,
    ) -> None:
        result = run_import("mobike", rides(ride("1", "ann")), "--link")

        assert result.exit_code == 1
        assert "too old" in result.stderr
        assert f"--shift-to {yesterday}" in result.stderr
        assert stored(fresh_runtime, "SELECT name FROM partner") == []
        assert stored(fresh_runtime, "SELECT citizen_id FROM citizen") == []

    def test_cannot_be_moved_into_the_future(
        self, run_import: Import, rides: Callable[..., Path]
    ) -> None:
        tomorrow = clock.today() + timedelta(days=1)

        result = run_import("mobike", rides(ride("1", "ann")), "--link", "--shift-to", tomorrow)

        assert (result.exit_code, "still to come" in result.stderr) == (1, True)


class TestWhoseFileItIs:
    def test_a_partners_file_counts_for_those_who_linked_their_accounts(
        self,
        fresh_runtime: Runtime,
        totals_of: Callable[..., dict[str, Any]],
        rides: Callable[..., Path],
        yesterday: str,
    ) -> None:
        source_id = a_source(fresh_runtime, "bikes")
        digest = account_digest(fresh_runtime.keys, source_id, "ann")
        with fresh_runtime.database.raw_transaction() as connection:
            create_simulated_citizens(
                connection, source_id, [digest], since=clock.now(), account_key_version=1
            )
        file = rides(ride("1", "ann"), ride("2", "bob"))

        totals = totals_of("mobike", file, "--source", "bikes", "--shift-to", yesterday)

        assert totals["verdicts"]["certified"] == 1
        assert totals["refused"] == {"source-link-missing": 1}
        assert totals["citizens_made"] == 0

    def test_it_must_be_somebodys(self, run_import: Import, rides: Callable[..., Path]) -> None:
        result = run_import("mobike", rides(ride("1", "ann")))

        assert result.exit_code == 1
        assert "--source NAME" in result.stderr

    def test_nobody_is_made_up_at_a_real_partner(
        self, fresh_runtime: Runtime, run_import: Import, rides: Callable[..., Path]
    ) -> None:
        a_source(fresh_runtime, "bikes")

        result = run_import("mobike", rides(ride("1", "ann")), "--source", "bikes", "--link")

        assert result.exit_code == 1
        assert "Leave --source out" in result.stderr

    def test_a_suspended_partner_sends_nothing(
        self,
        fresh_runtime: Runtime,
        run_import: Import,
        rides: Callable[..., Path],
        yesterday: str,
    ) -> None:
        a_source(fresh_runtime, "bikes")
        with fresh_runtime.database.raw_transaction() as connection:
            partner = partner_by_name(connection, "bikes")
            set_state(connection, partner, active=False, reason="a broken clock")

        words = ("--source", "bikes", "--shift-to", yesterday)
        result = run_import("mobike", rides(ride("1", "ann")), *words)

        assert (result.exit_code, "suspended" in result.stderr) == (1, True)

    def test_a_partner_reports_for_its_own_region(
        self,
        fresh_runtime: Runtime,
        run_import: Import,
        rides: Callable[..., Path],
        yesterday: str,
    ) -> None:
        a_source(fresh_runtime, "bikes", SHANGHAI)

        words = ("--source", "bikes", "--region", "深圳市", "--shift-to", yesterday)
        result = run_import("mobike", rides(ride("1", "ann")), *words)

        assert result.exit_code == 1
        assert f"region {SHANGHAI}, not {SHENZHEN}" in result.stderr

    def test_each_region_has_a_made_up_partner_of_its_own(
        self,
        fresh_runtime: Runtime,
        run_import: Import,
        rides: Callable[..., Path],
        yesterday: str,
    ) -> None:
        for region in ("Shanghai", "CN-SH", SHENZHEN):
            words = ("--link", "--region", region, "--shift-to", yesterday)
            run_import("mobike", rides(ride("1", "ann")), *words)

        partners = stored(fresh_runtime, "SELECT name, region FROM partner ORDER BY name")
        assert partners == [
            (f"sim-mobike-{SHANGHAI}", SHANGHAI),
            (f"sim-mobike-{SHENZHEN}", SHENZHEN),
        ]

    @pytest.mark.parametrize(
        ("words", "refusal"),
        [
            (("--source", "nobody"), PartnerUnknown),
            (("--link", "--region", "Atlantis"), RegionUnknown),
        ],
    )
    def test_an_unknown_name_is_refused(
        self,
        run_import: Import,
        rides: Callable[..., Path],
        yesterday: str,
        words: tuple[str, ...],
        refusal: type[Exception],
    ) -> None:
        result = run_import("mobike", rides(ride("1", "ann")), *words, "--shift-to", yesterday)

        assert isinstance(result.exception, refusal)


class TestReadingOnly:
    def test_a_dry_run_needs_no_database(self, rides: Callable[..., Path]) -> None:
        words = ["mobike", str(rides(ride("1", "ann"), "broken")), "--dry-run", "--json"]

        result = CliRunner().invoke(import_command, words, obj=None)

        rows = json.loads(result.stdout)["rows"]
        assert (rows["read"], rows["used"], rows["dropped"]) == (2, 1, {"columns-wrong": 1})

    def test_loads_without_an_account_are_counted_and_left(
        self, run_import: Import, tmp_path: Path
    ) -> None:
        file = tmp_path / "loads.csv"
        file.write_text(
            "load_id,report_date,load_type,load_weight\n"
            "1,2019-05-21,RECYCLING,8000\n2,2019-05-21,RECYCLING,\n"
        )

        result = run_import("recycling-loads", file, "--json")

        totals = json.loads(result.stdout)
        assert_adds_up(totals)
        assert (totals["rows"]["without_account"], totals["lines"]) == (1, 0)

    def test_a_file_of_another_format_is_refused(self, run_import: Import, tmp_path: Path) -> None:
        file = tmp_path / "other.csv"
        file.write_text("a,b\n1,2\n")

        result = run_import("mobike", file, "--link")

        assert isinstance(result.exception, FeedColumnsMissing)


def test_a_table_tells_a_person_what_json_tells_a_program(
    run_import: Import, rides: Callable[..., Path], yesterday: str
) -> None:
    file = rides(ride("1", "ann"), ride("2", "ann"), "broken")

    result = run_import("mobike", file, "--link", "--shift-to", yesterday)

    told = [line.split() for line in result.stdout.splitlines()]
    for words in (["rows", "read", "3"], ["columns-wrong", "1"], ["certified", "1"]):
        assert words in told
    assert ["overlap", "1"] in told
    assert told[-1][:4] == ["shared_bike_ride", "2", "1", "0"]


def test_ctrl_c_keeps_what_is_recorded_and_says_how_to_go_on(
    run_import: Import,
    totals_of: Callable[..., dict[str, Any]],
    rides: Callable[..., Path],
    yesterday: str,
    monkeypatch: pytest.MonkeyPatch,
    fresh_runtime: Runtime,
) -> None:
    words = ("mobike", rides(*(ride(str(n), f"rider {n}") for n in range(3))), "--link")
    options = ("--shift-to", yesterday)
    monkeypatch.setattr("service.activities.importing.command.LINES_MAX", 1)
    record = Intake.record_feed

    def interrupted(self: Intake, *feed: Any, **how: Any) -> Any:
        if stored(fresh_runtime, "SELECT count(*) FROM activity") == [(2,)]:
            raise KeyboardInterrupt
        return record(self, *feed, **how)

    with monkeypatch.context() as pressing:
        pressing.setattr(Intake, "record_feed", interrupted)
        stopped = run_import(*words, *options)
    again = totals_of(*words, *options)

    assert stopped.exit_code == 130
    assert "Stopped after 2 lines" in stopped.stderr
    assert (again["verdicts"]["duplicate"], again["verdicts"]["certified"]) == (2, 1)


def test_an_account_that_does_not_add_up_is_refused() -> None:
    totals = ImportTotals(ReadCounts(rows_read=1, used=1, lines=1))

    with pytest.raises(RuntimeError, match="1 lines were handed in"):
        totals.check()

    totals.verdicts["certified"] += 1
    with pytest.raises(RuntimeError, match="handed in"):
        totals.check()


class TestRealFiles:
    @pytest.mark.parametrize(
        ("words", "behavior", "least_certified"),
        [
            (("shenzhen-card", "transit_shenzhen_card", SHENZHEN), "metro_ride", 300),
            (("mobike", "bike_mobike_shanghai", SHANGHAI), "shared_bike_ride", 2_900),
            (("valleybike", "ebike_valleybike", "500000"), "shared_ebike_ride", 300),
            (("home-pv", "home_pv_fontana", SHANGHAI), "household_pv", 40),
        ],
    )
    def test_certify(
        self,
        totals_of: Callable[..., dict[str, Any]],
        shared_records: Path,
        yesterday: str,
        words: tuple[str, str, str],
        behavior: str,
        least_certified: int,
    ) -> None:
        feed, folder, region = words

        totals = totals_of(
            feed,
            *real_files(shared_records / "data" / folder),
            *("--link", "--region", region, "--shift-to", yesterday),
        )

        certified = totals["behaviors"][behavior]
        assert certified["certified"] >= least_certified
        assert certified["reduction_g"] == certified["points"] > 0

    def test_of_charging_wait_for_their_parameters(
        self,
        totals_of: Callable[..., dict[str, Any]],
        shared_records: Path,
        yesterday: str,
    ) -> None:
        files = real_files(shared_records / "data" / "ev_workplace_us")

        totals = totals_of("ev-sessions", *files, "--link", "--shift-to", yesterday)

        assert set(totals["refused"]) == {"too-late", "parameter-missing"}
        assert totals["verdicts"]["refused"] == totals["lines"]


def real_files(folder: Path) -> list[Path]:
    unused = {"stations.csv", "carbon_intensity.csv"}
    return sorted(path for path in folder.glob("*.csv*") if path.name not in unused)
