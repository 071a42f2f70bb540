"""Statements that are gathered before they are sent, in the place of a connection."""

import signal
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from types import FrameType
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import errors as pg

from service.runtime import Runtime

VALUES = [
    ("text", "it's 100 % — 碳"),
    ("bigint", 2**53 - 1),
    ("bool", True),
    ("float8", 0.1),
    ("uuid", UUID(int=7)),
    ("bytea", b"\x00\xff\\"),
    ("date", date(2028, 12, 31)),
    ("timestamptz", datetime(2026, 11, 20, 8, 0, 0, 123456, tzinfo=UTC)),
    ("text[]", ['a"b', "c\\d", "", None, "{,}"]),
    ("uuid[]", [UUID(int=1), UUID(int=2)]),
    ("text", None),
]


class Interrupted(BaseException):
    """As Ctrl-C is, which no `except Exception` stops."""


@pytest.fixture
def interrupted_soon() -> Iterator[None]:
    """Interrupt the test in a fifth of a second."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


class TestAPipelinedTransaction:
    @pytest.mark.parametrize(("kind", "value"), VALUES)
    def test_brings_values_there_and_back(self, runtime: Runtime, kind: str, value: object) -> None:
        with runtime.database.pipelined_transaction() as connection:
            as_text = connection.execute(f"SELECT %s::{kind}", [value])
            as_binary = connection.execute(f"SELECT %s::{kind}", [value], binary=True)

            assert as_text.fetchone() == (value,)
            assert as_binary.fetchall() == [(value,)]

    def test_takes_names_and_percent_signs(self, runtime: Runtime) -> None:
        with runtime.database.pipelined_transaction() as connection:
            answer = connection.execute(
                "SELECT %(one)s::int, %(two)s::int, %(one)s::int, 7 %% 4", {"two": 2, "one": 1}
            )

            assert answer.fetchone() == (1, 2, 1, 3)
            assert answer.fetchone() is None

    def test_keeps_answers_apart_and_in_order(self, runtime: Runtime) -> None:
        with runtime.database.pipelined_transaction() as connection:
            answers = [connection.execute("SELECT %s::int", [number]) for number in range(50)]
            last = answers[-1].fetchone()

            assert last == (49,)
            assert [answer.fetchall() for answer in answers[:-1]] == [[(n,)] for n in range(49)]

    def test_commits_at_its_end(self, runtime: Runtime) -> None:
        citizen = uuid4()
        with runtime.database.pipelined_transaction() as connection:
            connection.execute("INSERT INTO account (citizen_id) VALUES (%s)", [citizen])

        assert accounts_of(runtime, citizen) == 1

    def test_leaves_no_trace_when_the_block_raises(self, runtime: Runtime) -> None:
        citizen = uuid4()

        def open_and_give_up() -> None:
            with runtime.database.pipelined_transaction() as connection:
                connection.execute("INSERT INTO account (citizen_id) VALUES (%s)", [citizen])
                connection.execute("SELECT 1").fetchone()
                raise KeyError

        with pytest.raises(KeyError):
            open_and_give_up()

        assert accounts_of(runtime, citizen) == 0

    def test_leaves_no_trace_when_the_last_statement_fails(self, runtime: Runtime) -> None:
        citizen = uuid4()

        def open_twice() -> None:
            with runtime.database.pipelined_transaction() as connection:
                for _ in range(2):
                    connection.execute("INSERT INTO account (citizen_id) VALUES (%s)", [citizen])

        with pytest.raises(pg.UniqueViolation):
            open_twice()

        assert accounts_of(runtime, citizen) == 0

    def test_of_a_wrong_statement_raises_what_psycopg_raises(self, runtime: Runtime) -> None:
        with pytest.raises(pg.UndefinedTable), runtime.database.pipelined_transaction() as found:
            found.execute("SELECT 1 FROM nowhere").fetchone()

    def test_goes_on_after_the_server_forgot_its_statements(self, runtime: Runtime) -> None:
        """As psycopg lets it, after a rollback."""
        for forget in ("DEALLOCATE ALL", "SELECT 1", "DISCARD PLANS"):
            with runtime.database.raw_transaction() as connection:
                connection.execute(forget)
            for _ in range(runtime.database.size + 1):
                with runtime.database.pipelined_transaction() as pipelined:
                    assert pipelined.execute("SELECT %s::int", [5]).fetchone() == (5,)
                    assert pipelined.execute("SELECT %s::int + 1", [5]).fetchone() == (6,)

    def test_lends_an_ordinary_cursor(self, runtime: Runtime) -> None:
        citizen = uuid4()
        with runtime.database.pipelined_transaction() as connection:
            connection.execute("INSERT INTO account (citizen_id) VALUES (%s)", [citizen])
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM account WHERE citizen_id = %s", [citizen])
                assert cursor.fetchone() == (1,)

    def test_lets_other_threads_work_while_it_waits(self, runtime: Runtime) -> None:
        woken = threading.Event()

        def wait_at_the_server() -> None:
            with runtime.database.pipelined_transaction() as connection:
                connection.execute("SELECT pg_sleep(0.5)").fetchone()
            woken.set()

        waiting = threading.Thread(target=wait_at_the_server)
        waiting.start()
        with runtime.database.pipelined_transaction() as connection:
            connection.execute("SELECT 1").fetchone()
        assert not woken.is_set()
        waiting.join()

    @pytest.mark.usefixtures("interrupted_soon")
    def test_that_is_interrupted_stops_and_gives_no_unread_answer_back(
        self, runtime: Runtime
    ) -> None:
        with pytest.raises(Interrupted), runtime.database.pipelined_transaction() as connection:
            connection.execute("SELECT pg_sleep(5)").fetchone()

        with runtime.database.pipelined_transaction() as again:
            assert again.execute("SELECT 1").fetchone() == (1,)

    def test_refuses_a_text_that_would_be_cut(self, runtime: Runtime) -> None:
        with pytest.raises(psycopg.DataError), runtime.database.pipelined_transaction() as found:
            found.execute("SELECT %s::text", ["a\0b"])

    def test_whose_server_dies_says_so(self, runtime: Runtime) -> None:
        with (  # noqa: PT012  the transaction has to be open when its server dies
            pytest.raises(psycopg.OperationalError),
            runtime.database.pipelined_transaction() as connection,
        ):
            row = connection.execute("SELECT pg_backend_pid()").fetchone()
            assert row
            with psycopg.connect(runtime.settings.migration_database_url) as killer:
                killer.execute("SELECT pg_terminate_backend(%s, 5000)", row)
            connection.execute("SELECT 1").fetchone()

        with runtime.database.pipelined_transaction() as again:
            assert again.execute("SELECT 1").fetchone() == (1,)


class TestAReader:
    @pytest.mark.parametrize(("kind", "value"), VALUES)
    def test_brings_values_there_and_back(self, runtime: Runtime, kind: str, value: object) -> None:
        with runtime.database.one_statement() as reader:
            assert reader.execute(f"SELECT %s::{kind}", [value]).fetchall() == [(value,)]

    def test_of_a_wrong_statement_raises_and_goes_on(self, runtime: Runtime) -> None:
        with runtime.database.one_statement() as reader:
            for wrong in ("SELECT 1 FROM nowhere", "SELECT 1 / 0"):
                with pytest.raises((pg.UndefinedTable, pg.DivisionByZero)):
                    reader.execute(wrong)

            assert reader.execute("SELECT %(one)s::int", {"one": 1}).fetchone() == (1,)

    def test_lets_other_threads_work_while_it_waits(self, runtime: Runtime) -> None:
        woken = threading.Event()

        def wait_at_the_server() -> None:
            with runtime.database.one_statement() as reader:
                reader.execute("SELECT pg_sleep(0.5)")
            woken.set()

        waiting = threading.Thread(target=wait_at_the_server)
        waiting.start()
        with runtime.database.one_statement() as reader:
            reader.execute("SELECT 1")
        assert not woken.is_set()
        waiting.join()


def accounts_of(runtime: Runtime, citizen_id: UUID) -> int:
    with runtime.database.raw_transaction() as connection:
        found = connection.execute(
            "SELECT count(*) FROM account WHERE citizen_id = %s", [citizen_id]
        )
        return int(found.fetchall()[0][0])
