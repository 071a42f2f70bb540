"""`carbon import`: an operator's own files, read by their adapter and recorded by the intake.

All files are read before a line is recorded, so that a file that cannot be read, or that is far
too old, leaves no trace. Then the lines go through the same intake as those that come over HTTP,
feed by feed; what is recorded stays recorded when the import is stopped.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import click
import msgspec

from service import clock
from service.activities.feeds import FORMATS, ActivityLine, Feed, ReadCounts, shifted
from service.activities.importing.source import (
    SIMULATED,
    ImportRefusedError,
    simulated_source,
    source_named,
)
from service.activities.importing.totals import ImportTotals
from service.activities.intake.candidates import DAY_S, Source
from service.activities.intake.desk import Intake
from service.activities.intake.feed_body import LINES_MAX
from service.activities.rules.rulebook import Rulebook, read_rulebook
from service.identity.simulated import create_simulated_citizens
from service.identity.source_links import account_digest
from service.runtime import Runtime

STOPPED = 130
"""The status of a command that was ended with Ctrl-C."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the person at the terminal asked for."""

    feed: Feed
    paths: tuple[Path, ...]
    source: str | None = None
    shift_to: date | None = None
    region: str | None = None
    link: bool = False
    dry_run: bool = False

    def check(self) -> None:
        """Refuse what contradicts itself, before anything is read.

        Raises:
            ImportRefusedError: the message says what to do instead.
        """
        if self.shift_to is not None and self.shift_to > clock.today():
            raise ImportRefusedError("--shift-to names a day that is still to come.")
        if self.link and self.source and not self.source.startswith(SIMULATED):
            raise ImportRefusedError(
                f"--link makes up the people behind every account, so it is not for {self.source}, "
                f"where real ones may link theirs. Leave --source out: a source {SIMULATED}… is "
                "made."
            )
        if self.feed.behaviors and not (self.source or self.link or self.dry_run):
            raise ImportRefusedError(
                "Say whose file it is: --source NAME for a partner that is registered (carbon "
                "partner add), or --link for an old file whose people are made up."
            )

    @property
    def is_simulated(self) -> bool:
        """Whether what is recorded did not happen so: made-up people, or days that were moved."""
        return self.link or self.shift_to is not None


@click.command("import")
@click.argument("format_name", metavar="FORMAT", type=click.Choice(sorted(FORMATS)))
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option("--source", metavar="NAME", help="The registered partner whose file it is.")
@click.option(
    "--shift-to",
    metavar="DATE",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Move all acts by whole days, so that the last one starts on this day.",
)
@click.option(
    "--region",
    metavar="PLACE",
    help="Whose methodologies apply: a GB/T 2260 code, pinyin or Chinese name.",
)
@click.option("--link", is_flag=True, help="Make up a citizen for every account; marked simulated.")
@click.option("--dry-run", is_flag=True, help="Read and count, record nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the totals as JSON.")
@click.pass_obj
def import_command(
    runtime: Runtime,
    *,
    format_name: str,
    files: tuple[Path, ...],
    source: str | None,
    shift_to: datetime | None,
    region: str | None,
    link: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Record an operator's own files of one FORMAT.

    Every row is accounted for. The same files again record nothing twice.
    """
    day = shift_to.date() if shift_to else None
    request = Request(FORMATS[format_name], files, source, day, region, link, dry_run)
    totals = ImportTotals(ReadCounts())
    try:
        import_files(runtime, request, totals, report=_say)
    except KeyboardInterrupt:
        _say(
            f"Stopped after {totals.lines_answered:,} lines. What is recorded stays; the same "
            "command goes on, and answers those lines as duplicates."
        )
        raise SystemExit(STOPPED) from None
    _print(totals, as_json=as_json)
    _advise(request, totals)


def import_files(
    runtime: Runtime, request: Request, totals: ImportTotals, *, report: Callable[[str], None]
) -> None:
    """Read the files and record their lines.

    Args:
        runtime: not touched where nothing is recorded.
        request: what is asked for.
        totals: empty; filled feed by feed, so that they are true when the import is stopped.
        report: told how far the import is.

    Raises:
        ImportRefusedError: nothing was recorded, for the reason in the message.
        FeedColumnsMissing, FeedFileMissing, FeedUnreadable, PartnerUnknown, RegionUnknown
    """
    request.check()
    lines = _read(request, totals.counts)
    report(f"Read {totals.counts.rows_read:,} rows: {len(lines):,} activity lines.")
    totals.counts.check()
    if request.dry_run or not lines:
        return
    desk = Intake(runtime.database, runtime.keys)
    _refuse_too_old(runtime, lines)
    source = _source(runtime, request)
    for feed in _in_feeds(lines):
        if request.link:
            totals.citizens_made += _link(runtime, source, feed)
        recorded = desk.record_feed(
            source,
            [msgspec.json.encode(line) for line in feed],
            simulated=request.is_simulated,
        )
        totals.add(feed, recorded.outcomes)
        report(f"Recorded {totals.lines_answered:,} of {len(lines):,} lines.")
    totals.check()


def _read(request: Request, counts: ReadCounts) -> list[ActivityLine]:
    lines = request.feed.read(request.paths, counts)
    return list(shifted(lines, request.shift_to) if request.shift_to else lines)


def _source(runtime: Runtime, request: Request) -> Source:
    default = runtime.settings.region
    with runtime.database.raw_transaction() as connection:
        if request.source:
            return source_named(connection, request.source, request.region, default)
        return simulated_source(connection, request.feed.name, request.region, default)


def _refuse_too_old(runtime: Runtime, lines: Sequence[ActivityLine]) -> None:
    """Record nothing of a file whose acts would all be refused for their age.

    A refused act is stored under its key for ever, so that the file could not be moved any more.
    """
    with runtime.database.raw_transaction() as connection:
        rules = read_rulebook(connection)
    if all(_is_too_old(line, rules) for line in lines):
        last_day = max(clock.day_of(line.started_at) for line in lines)
        yesterday = clock.today() - timedelta(days=1)
        raise ImportRefusedError(
            f"Every act is too old to count (the last one is of {last_day}), so nothing was "
            f"recorded. To play an old file today, move its days: --shift-to {yesterday}"
        )


def _is_too_old(line: ActivityLine, rules: Rulebook) -> bool:
    terms = rules.terms_of(clock.day_of(line.started_at))
    age = clock.now() - line.ended_at
    return terms is None or age.total_seconds() > terms.rules.lateness_days * DAY_S


def _in_feeds(lines: Sequence[ActivityLine]) -> Iterator[Sequence[ActivityLine]]:
    for start in range(0, len(lines), LINES_MAX):
        yield lines[start : start + LINES_MAX]


def _link(runtime: Runtime, source: Source, lines: Sequence[ActivityLine]) -> int:
    """Make a simulated citizen for each account that nobody holds."""
    assert source.id is not None  # noqa: S101  an import has a source
    accounts = {line.account_ref for line in lines}
    with runtime.database.raw_transaction() as connection:
        return create_simulated_citizens(
            connection,
            source.id,
            [account_digest(runtime.keys, source.id, account) for account in accounts],
            since=min(line.started_at for line in lines),
            account_key_version=runtime.keys.account_key.version,
        )


def _print(totals: ImportTotals, *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(totals.as_json()), indent=2))
    else:
        click.echo(totals.as_table())


def _advise(request: Request, totals: ImportTotals) -> None:
    if totals.verdicts["conflict"] and request.shift_to:
        _say(
            "Lines in conflict were recorded before, on other days: use the --shift-to of the "
            "first time."
        )
    if totals.refused["too-late"]:
        _say(
            "Acts that come too late are refused for good. To let more days count, put a rules "
            "version with a greater lateness in force before the import."
        )
    if totals.refused["source-link-missing"]:
        _say("Lines of accounts that nobody has linked are not kept; they may be imported again.")


def _say(line: str) -> None:
    """Tell the person at the terminal; standard output belongs to the totals."""
    click.echo(line, err=True)
