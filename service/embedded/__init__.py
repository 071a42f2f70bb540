"""Real PostgreSQL and Valkey under CARBON_HOME, for a machine that has neither.

Several commands may use one CARBON_HOME at once. The first starts the engines, the others find
them running, the last one to leave stops them. A command that is killed leaves only its lock,
which the system takes back: if it was the last one, the engines stay until the next command ends.

This package knows processes, folders and locks; it knows no table and no role but the superuser.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from service.embedded.home import Home, open_home
from service.embedded.postgres import DATABASE, SUPERUSER, Postgres, binaries, connection_url
from service.embedded.processes import EngineError
from service.embedded.sharing import joined
from service.embedded.valkey import Valkey
from service.settings import Settings

__all__ = ["EngineError", "Engines", "engines", "reachable", "say"]


@dataclass(frozen=True)
class Engines:
    """Running engines and how to reach them."""

    home: Path
    postgres_socket_dir: Path
    postgres_data: Path
    postgres_binaries: Path
    """psql, pg_dump and the rest of the running version."""
    redis_url: str

    def dsn(self, role: str = "carbon_app", database: str = DATABASE) -> str:
        """Return the `postgresql://` URL of a database, for psycopg and SQLAlchemy alike."""
        return connection_url(self.postgres_socket_dir, role, database)

    def urls(self) -> dict[str, str]:
        """Return the addresses that the settings name: one per role, and Valkey's."""
        return {
            "database_url": self.dsn("carbon_app"),
            "migration_database_url": self.dsn(SUPERUSER),
            "eraser_database_url": self.dsn("carbon_eraser"),
            "redis_url": self.redis_url,
        }


def say(line: str) -> None:
    """Tell the person at the terminal; standard output belongs to the command's result."""
    with suppress(OSError):  # the terminal may be closed by now
        click.echo(line, err=True)


@contextmanager
def engines(
    home: Path,
    *,
    small: bool = False,
    postgres: bool = True,
    valkey: bool = True,
    postgres_version: int = 18,
    report: Callable[[str], None] = say,
) -> Iterator[Engines]:
    """Keep the engines of a CARBON_HOME running for the length of the block.

    Args:
        home: made if need be, and closed to other users.
        small: little memory, for tests; the durability is the same.
        postgres: whether PostgreSQL is wanted.
        valkey: whether Valkey is wanted.
        postgres_version: 18 or 16; a cluster keeps the version it was made with.
        report: told what takes long.

    Raises:
        EngineError: an engine cannot be started; the message says why.
    """
    opened = open_home(home)
    database = Postgres(opened, postgres_version, small, report)
    memory = Valkey(opened)

    def start() -> None:
        opened.open_sockets()
        if postgres:
            database.start()
        if valkey:
            memory.start()

    def stop() -> None:
        memory.stop()
        database.stop()
        opened.close_sockets()

    with joined(opened.path, start, stop, report):
        yield _described(opened, database, memory)


@contextmanager
def reachable(settings: Settings) -> Iterator[Settings]:
    """Yield the settings with the addresses of both engines, for the length of the block.

    An engine whose address is given is used as it is; an engine without one is embedded.

    Raises:
        EngineError: an embedded engine cannot be started.
    """
    if settings.database_url and settings.redis_url:
        yield settings
        return
    postgres, valkey = not settings.database_url, not settings.redis_url
    with engines(settings.home, postgres=postgres, valkey=valkey) as running:
        urls = running.urls()
        given = {name: getattr(settings, name) for name in urls}
        yield settings.with_engines(**{name: given[name] or urls[name] for name in urls})


def _described(home: Home, database: Postgres, memory: Valkey) -> Engines:
    return Engines(
        home=home.path,
        postgres_socket_dir=home.sockets,
        postgres_data=home.postgres_data,
        postgres_binaries=binaries(database.version),
        redis_url=memory.url,
    )
