"""Every setting of the service, read once from the environment and then passed in."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from service.errors import DomainError


class SettingInvalid(DomainError):
    """A setting cannot be used."""

    code = "setting-invalid"


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service is told from outside; docs/operating.md explains each field."""

    home: Path
    """Where keys, the embedded engines' data and the development SMS file live (`CARBON_HOME`)."""
    port: int
    """The loopback port that is served (`PORT`)."""
    database_url: str
    """PostgreSQL, as the application reaches it (`DATABASE_URL`); empty: embedded."""
    migration_database_url: str
    """PostgreSQL, as the owner of the tables reaches it (`MIGRATION_DATABASE_URL`)."""
    eraser_database_url: str
    """PostgreSQL, as the role that may erase a person reaches it (`ERASER_DATABASE_URL`)."""
    redis_url: str
    """Redis or Valkey (`REDIS_URL`); empty: embedded."""
    issuer: str
    """Our own name in tokens, and the only audience of a client assertion (`CARBON_ISSUER`)."""
    region: str
    """GB/T 2260 code of the place that applies when a source names none (`CARBON_REGION`)."""
    workers: int
    """Processes that serve HTTP (`CARBON_WORKERS`)."""
    threads: int
    """Threads in each of them (`CARBON_THREADS`)."""
    sms_sender: str
    """`file` (development: `sms.jsonl` in the home) or the URL of a gateway (`CARBON_SMS`)."""
    rate_limit_per_minute: int
    """Requests a minute that one caller may make of ordinary endpoints (`CARBON_RATE_LIMIT`)."""
    outside: Path
    """Folder, best on another disk, for what a restored database must agree with
    (`CARBON_OUTSIDE`): the log's last head, and who was erased."""
    log_origin: str
    """The public log's name (`CARBON_LOG_ORIGIN`); empty: the one it has, or the default."""
    two_people_above_minor: int | None = None
    """Fen at risk up to which one person may resolve a settlement exception
    (`CARBON_TWO_PEOPLE_ABOVE_MINOR`); None: it always takes two."""
    two_people_above_points: int | None = None
    """The same for points (`CARBON_TWO_PEOPLE_ABOVE_POINTS`)."""

    def with_engines(
        self,
        *,
        database_url: str,
        migration_database_url: str,
        eraser_database_url: str,
        redis_url: str,
    ) -> "Settings":
        """Return these settings, reaching engines that have been started in the meantime."""
        return replace(
            self,
            database_url=database_url,
            migration_database_url=migration_database_url,
            eraser_database_url=eraser_database_url,
            redis_url=redis_url,
        )


def settings_from(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingInvalid: a value cannot be read; the sentence names it.
    """
    env = os.environ if environment is None else environment
    home = Path(env.get("CARBON_HOME") or "var").absolute()
    port = _whole_number(env, "PORT", 8000, 1, 65535)
    database_url = env.get("DATABASE_URL", "")
    return Settings(
        home=home,
        port=port,
        database_url=database_url,
        migration_database_url=env.get("MIGRATION_DATABASE_URL") or database_url,
        eraser_database_url=env.get("ERASER_DATABASE_URL") or database_url,
        redis_url=env.get("REDIS_URL", ""),
        issuer=env.get("CARBON_ISSUER") or f"http://127.0.0.1:{port}",
        region=env.get("CARBON_REGION") or "440300",
        workers=_whole_number(env, "CARBON_WORKERS", 2, 1, 64),
        threads=_whole_number(env, "CARBON_THREADS", 8, 1, 64),
        sms_sender=env.get("CARBON_SMS") or "file",
        rate_limit_per_minute=_whole_number(env, "CARBON_RATE_LIMIT", 60_000, 1, 10**9),
        outside=Path(env.get("CARBON_OUTSIDE") or home / "outside").absolute(),
        log_origin=env.get("CARBON_LOG_ORIGIN", ""),
        two_people_above_minor=_limit(env, "CARBON_TWO_PEOPLE_ABOVE_MINOR"),
        two_people_above_points=_limit(env, "CARBON_TWO_PEOPLE_ABOVE_POINTS"),
    )


def _limit(env: Mapping[str, str], name: str) -> int | None:
    return _whole_number(env, name, 0, 0, 10**15) if env.get(name) else None


def _whole_number(env: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = env.get(name) or str(default)
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        raise SettingInvalid(
            "{name} must be a whole number from {least} to {most}, not {text!r}.",
            name=name,
            least=least,
            most=most,
            text=text,
        )
    return int(text)
