"""`carbon sealer`, and what an operator does with the log: looking, and changing its keys."""

import json
import signal
from types import FrameType

import click

from service.runtime import Runtime
from service.transparency.commands import log_group
from service.transparency.heads import HeadOffice, found_origin, origin_of
from service.transparency.key_events import write_key_events
from service.transparency.keys import LogKeys
from service.transparency.outside import Outside
from service.transparency.sealer import Sealer
from service.transparency.sealing import last_seal
from service.web.logs import log_as_json

__all__ = ["log_group", "sealer_command"]


@click.command("sealer", help="Seal and publish the log, until SIGTERM or Ctrl-C.")
@click.pass_obj
def sealer_command(runtime: Runtime) -> None:
    """Work until stopped."""
    log_as_json()
    sealer = Sealer(runtime.settings)

    def stop(_number: int, _frame: FrameType | None) -> None:
        sealer.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    sealer.run()


@log_group.command("check")
@click.pass_obj
def check_command(runtime: Runtime) -> None:
    """Say whether the log continues the head that is kept outside; status 1 if it does not."""
    with runtime.database.raw_transaction() as connection:
        origin = origin_of(connection, runtime.settings.log_origin)
        _office(runtime, origin).check_history(connection)
        sealed = last_seal(connection)
    leaves = sealed.size if sealed else 0
    click.echo(f"The log has {leaves} leaves and continues the head that was signed last.")


@log_group.command("keys")
@click.pass_obj
def keys_command(runtime: Runtime) -> None:
    """Print the log's keys, one JSON object a line."""
    with runtime.database.raw_transaction() as connection:
        origin = origin_of(connection, runtime.settings.log_origin)
    _print(_keys(runtime), origin)


@log_group.command("rotate-key")
@click.pass_obj
def rotate_key_command(runtime: Runtime) -> None:
    """Add a key that signs together with the present ones; retire the old one later."""
    keys = _keys(runtime).with_new_key()
    _print(keys, _log(runtime, keys))


@log_group.command("retire-key")
@click.argument("key_id")
@click.pass_obj
def retire_key_command(runtime: Runtime, key_id: str) -> None:
    """Let a key sign no more; KEY_ID is the middle part of the published key."""
    with runtime.database.raw_transaction() as connection:
        origin = origin_of(connection, runtime.settings.log_origin)
    keys = _keys(runtime).without(origin, key_id)
    _print(keys, _log(runtime, keys))


def _keys(runtime: Runtime) -> LogKeys:
    return LogKeys.at(runtime.settings.home / "keys")


def _office(runtime: Runtime, origin: str) -> HeadOffice:
    return HeadOffice(origin, _keys(runtime), Outside(runtime.settings.outside))


def _log(runtime: Runtime, keys: LogKeys) -> str:
    """Let the log say which keys it has now; return its name."""
    with runtime.database.raw_transaction() as connection:
        origin = found_origin(connection, runtime.settings.log_origin)
        write_key_events(connection, keys, origin)
    return origin


def _print(keys: LogKeys, origin: str) -> None:
    for key in keys.keys:
        shown = {
            "vkey": key.verifier(origin).vkey,
            "made_at": key.made_at.isoformat(),
            "retired_at": key.retired_at.isoformat() if key.retired_at else None,
        }
        click.echo(json.dumps(shown))
