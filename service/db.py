"""The one door to PostgreSQL: who may open a transaction, in which role, and the column types.

An entry point (an endpoint, a command, a job) opens exactly one transaction; functions below it
take the open one and never commit. Two doors lead to the same database: `transaction()` gives an
SQLAlchemy `Session`, `raw_transaction()` a psycopg connection for the hot paths, where the ORM's
bookkeeping costs more than the statement. Every connection works as a role without UPDATE, DELETE
or TRUNCATE on the append-only tables.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, ClassVar

import psycopg
from psycopg.pq import ConnStatus
from psycopg_pool import ConnectionPool, PoolTimeout
from sqlalchemy import BigInteger, DateTime, Engine, MetaData, Text, create_engine, func
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, sessionmaker

from service.errors import Unavailable
from service.pipelining import PipelinedConnection, Reader

Points = Annotated[int, mapped_column(BigInteger)]
Grams = Annotated[int, mapped_column(BigInteger)]
Moment = Annotated[datetime, mapped_column(DateTime(timezone=True))]
RecordedAt = Annotated[
    datetime, mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
]

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

APP_ROLE = "carbon_app"
ERASER_ROLE = "carbon_eraser"

STATEMENT_TIMEOUT_MS = 10_000
LOCK_TIMEOUT_MS = 5_000
FORGOTTEN_AFTER_MS = 10_000
"""What a stopped process leaves open keeps its locks, and keeps the log's sealer waiting."""
POOL_WAIT_S = 2.0


class Base(DeclarativeBase):
    """The tables' common ground; a model is a shape and holds no rules."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {str: Text}


class DatabaseUnavailable(Unavailable):
    """The database cannot be reached just now."""

    code = "database-unavailable"


def libpq_url(url: str) -> str:
    """Return a URL that libpq reads, whichever driver prefix it was given with."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def sqlalchemy_url(url: str) -> str:
    """Return the same address for SQLAlchemy with psycopg 3."""
    return make_url(url).set(drivername="postgresql+psycopg").render_as_string(hide_password=False)


class Database:
    """The pools of one process, opened once and shared by its threads."""

    def __init__(self, url: str, *, role: str = APP_ROLE, size: int = 8) -> None:
        self.url = url
        self.role = role
        self.size = size
        self.engine = self._engine()
        self.sessions = sessionmaker(self.engine, expire_on_commit=False)
        self._pool: ConnectionPool[psycopg.Connection[Any]] | None = None
        self._opening = threading.Lock()
        self._readers = threading.local()
        self._era = 0
        """Goes up when the server went away; readers of an earlier era are dead."""
        self._opened_readers: list[psycopg.Connection[Any]] = []

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Open the one transaction of this request, command or job.

        Commits when the block ends, rolls back when it raises.
        """
        with self.sessions.begin() as session:
            yield session

    @contextmanager
    def raw_transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """Open one transaction on a bare psycopg connection, for a hot path.

        Raises:
            DatabaseUnavailable: every connection of this process is busy for too long.
        """
        try:
            with self.pool.connection(timeout=POOL_WAIT_S) as connection:
                try:
                    yield connection
                except psycopg.OperationalError:
                    if connection.broken:
                        self._distrust_connections()
                    raise
        except PoolTimeout as error:
            raise DatabaseUnavailable(
                "The service is busy. Please send the same request again shortly."
            ) from error

    @contextmanager
    def pipelined_transaction(self) -> Iterator[PipelinedConnection]:
        """Open one transaction whose statements share round trips; COMMIT goes with the last.

        For a few small statements: whoever reads an answer waits for all that was asked before.

        Raises:
            DatabaseUnavailable: as `raw_transaction`.
        """
        with self.raw_transaction() as connection:
            pipelined = PipelinedConnection(connection)
            yield pipelined
            pipelined.end()

    @contextmanager
    def one_statement(self) -> Iterator[Reader]:
        """Lend this thread's own reader for one reading statement, a transaction by itself.

        Saves the round trips of BEGIN and COMMIT, the pool's book-keeping and the preparing of a
        cursor: two thirds of a small read.

        Raises:
            psycopg.OperationalError: the server went away; the next call connects again.
        """
        reader: Reader | None = getattr(self._readers, "reader", None)
        if reader is None or reader.connection.closed or self._readers.era != self._era:
            reader = self._open_reader()
        try:
            yield reader
        except psycopg.OperationalError:
            if reader.connection.pgconn.status != ConnStatus.OK:
                self._distrust_connections()
            raise

    def _distrust_connections(self) -> None:
        """Replace what is idle: where one connection was dead, all of the same age are.

        Otherwise every thread would find that out by itself, with a refused request each.
        """
        self._era += 1
        if self._pool is not None:
            self._pool.check()
        self.engine.dispose()

    def _open_reader(self) -> Reader:
        connection = psycopg.connect(libpq_url(self.url), autocommit=True, **self._raw_arguments())
        _prefer_generic_plans(connection)
        reader = self._readers.reader = Reader(connection)
        self._readers.era = self._era
        self._opened_readers = [each for each in self._opened_readers if not each.closed]
        self._opened_readers.append(connection)
        return reader

    @property
    def pool(self) -> ConnectionPool[psycopg.Connection[Any]]:
        """The pool behind `raw_transaction`, opened on first use (so after any fork)."""
        if self._pool is None:
            with self._opening:
                if self._pool is None:
                    self._pool = self._open_pool()
        return self._pool

    def close(self) -> None:
        """Give every connection back to the server."""
        if self._pool is not None:
            self._pool.close()
        for reader in self._opened_readers:
            reader.close()
        self.engine.dispose()

    def _engine(self) -> Engine:
        return create_engine(
            sqlalchemy_url(self.url),
            pool_size=self.size,
            max_overflow=0,
            pool_timeout=POOL_WAIT_S,
            pool_pre_ping=True,
            pool_recycle=1800,
            connect_args={**CONNECT_ARGUMENTS, "options": _options(self.role)},
        )

    def _open_pool(self) -> ConnectionPool[psycopg.Connection[Any]]:
        return ConnectionPool(
            libpq_url(self.url),
            min_size=1,
            max_size=self.size,
            kwargs=self._raw_arguments(),
            configure=_prefer_generic_plans,
            open=True,
        )

    def _raw_arguments(self) -> dict[str, Any]:
        return {**CONNECT_ARGUMENTS, "options": _options(self.role)}


GENERIC_PLANS = """
SELECT set_config('plan_cache_mode', 'force_generic_plan', false)
WHERE to_regclass('pg_dist_partition') IS NULL
"""
"""The hot statements look up by key whatever they are given, so planning each time buys nothing.
An optional filter (`… IS NULL OR …`) is never used as an index condition in such a plan.

Not where Citus is: it must see the citizen's id to know which shard a statement goes to, and
answers most generic plans with "could not create distributed plan"."""


def _prefer_generic_plans(connection: psycopg.Connection[Any]) -> None:
    connection.execute(GENERIC_PLANS)
    connection.commit()


CONNECT_ARGUMENTS: dict[str, Any] = {
    # libpq waits about for ever on a dead peer unless it is told not to.
    "connect_timeout": 3,
    "tcp_user_timeout": 3000,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    # A statement that comes back is planned once for each connection.
    "prepare_threshold": 2,
}


def _options(role: str) -> str:
    return (
        f"-c role={role} -c timezone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS}"
        f" -c lock_timeout={LOCK_TIMEOUT_MS}"
        f" -c idle_in_transaction_session_timeout={FORGOTTEN_AFTER_MS}"
    )


def driver_connection(session: Session) -> psycopg.Connection[Any]:
    """Return the psycopg connection inside a session's transaction.

    The ledger writes through psycopg; this lets a caller that holds a `Session` join it.
    """
    session.flush()
    connection = session.connection().connection.driver_connection
    assert isinstance(connection, psycopg.Connection)  # noqa: S101  the driver is fixed in the URL
    return connection
