"""What one process of the service holds open: settings, keys, and the doors to both engines."""

from dataclasses import dataclass

import redis as redis_client

from service import redis
from service.db import ERASER_ROLE, Database
from service.keys import KeyRing
from service.settings import Settings


@dataclass(frozen=True, slots=True)
class Runtime:
    """Everything an entry point needs and nothing that decides."""

    settings: Settings
    database: Database
    eraser: Database
    """The same database as the only role that may delete a person's details."""
    keys: KeyRing
    redis: redis_client.Redis

    def close(self) -> None:
        """Give every connection back."""
        self.database.close()
        self.eraser.close()
        self.redis.close()


def open_runtime(settings: Settings, *, pool_size: int | None = None) -> Runtime:
    """Open the pools and read the keys; nothing connects before it is used.

    Args:
        settings: with the addresses of both engines filled in.
        pool_size: database connections of this process; by default one for each serving thread.
    """
    return Runtime(
        settings=settings,
        database=Database(settings.database_url, size=pool_size or settings.threads),
        eraser=Database(settings.eraser_database_url, role=ERASER_ROLE, size=1),
        keys=KeyRing.at(settings.home / "keys"),
        redis=redis.connect(settings.redis_url),
    )
