"""Our own signing keys, changed with an overlap: published, then signing, then published only.

Partners keep our key set for a while, and documents outlive their key's turn. So a key is published
a day before it signs, and stays until nothing that it signed can still be good.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import click

from service import clock
from service.keys import SigningKey, keep_signing_keys, signing_keys_in
from service.partners.errors import KeyRotationRefused
from service.settings import settings_from

PUBLISHED_BEFORE = timedelta(hours=24)
DOCUMENTS_LIVE = timedelta(days=400)
"""No document that we sign is good for longer; settlement manifests are kept for a year's books."""

Keys = tuple[SigningKey, ...]


def with_next_key(keys: Keys, now: datetime) -> Keys:
    """Add a key that is published and does not sign yet."""
    return (*keys, SigningKey.new(now))


def with_promoted(keys: Keys, kid: str, now: datetime, *, at_once: bool = False) -> Keys:
    """Let a published key sign from now on.

    Args:
        keys: the first one signs.
        kid: of the key that is to sign.
        now: the present moment.
        at_once: do not wait until partners know it, because the present key is in wrong hands.

    Raises:
        KeyRotationRefused: there is no such key, or it has not been published for long enough.
    """
    next_key = _named(keys, kid)
    if next_key is keys[0]:
        raise KeyRotationRefused("This key signs already.")
    ready_at = (next_key.made_at or now) + PUBLISHED_BEFORE
    if next_key.made_at and not at_once and now < ready_at:
        raise KeyRotationRefused(
            "Partners may not know this key yet. It may sign from {ready_at}.",
            ready_at=ready_at.isoformat(timespec="seconds"),
        )
    former = replace(keys[0], stopped_at=now)
    others = tuple(key for key in keys[1:] if key is not next_key)
    return (replace(next_key, stopped_at=None), former, *others)


def without(keys: Keys, kid: str, now: datetime, *, at_once: bool = False) -> Keys:
    """Take a key away for good: what it signed cannot be verified any more.

    Args:
        keys: the first one signs.
        kid: of the key to take away.
        now: the present moment.
        at_once: although documents that it signed may be good still, because others can sign too.

    Raises:
        KeyRotationRefused: there is no such key, it signs, or what it signed may be good still.
    """
    meant = _named(keys, kid)
    if meant is keys[0]:
        raise KeyRotationRefused("This key signs. Promote another one first.")
    free_at = (meant.stopped_at or now) + DOCUMENTS_LIVE
    if meant.stopped_at and not at_once and now < free_at:
        raise KeyRotationRefused(
            "Documents signed with this key may be good until {free_at}.",
            free_at=free_at.isoformat(timespec="seconds"),
        )
    return tuple(key for key in keys if key is not meant)


def _named(keys: Keys, kid: str) -> SigningKey:
    found = next((key for key in keys if key.kid == kid), None)
    if found is None:
        raise KeyRotationRefused("No signing key has the id {kid}.", kid=kid)
    return found


@click.group("keys", help="The keys that sign our tokens and documents.")
def keys_group() -> None:
    """Hold the commands about our signing keys."""


@keys_group.command("list")
def list_command() -> None:
    """Print the signing keys, one JSON object a line; the first one signs."""
    _print(signing_keys_in(_folder()))


@keys_group.command("add")
def add_command() -> None:
    """Make the next key. Restart the service, so that it is published; promote it a day later."""
    _keep(with_next_key(signing_keys_in(_folder()), clock.now()))


@keys_group.command("promote")
@click.option("--kid", required=True)
@click.option("--at-once", is_flag=True, help="The present key is in wrong hands: do not wait.")
def promote_command(kid: str, *, at_once: bool) -> None:
    """Let a published key sign. Restart the service; the former key goes on verifying."""
    _keep(with_promoted(signing_keys_in(_folder()), kid, clock.now(), at_once=at_once))


@keys_group.command("retire")
@click.option("--kid", required=True)
@click.option("--at-once", is_flag=True, help="It is in wrong hands: nothing it signed holds.")
def retire_command(kid: str, *, at_once: bool) -> None:
    """Take a former key away, when nothing that it signed can be good any more."""
    _keep(without(signing_keys_in(_folder()), kid, clock.now(), at_once=at_once))


def _folder() -> Path:
    folder = settings_from().home / "keys"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _keep(keys: Keys) -> None:
    keep_signing_keys(_folder(), keys)
    _print(keys)


def _print(keys: Sequence[SigningKey]) -> None:
    for key in keys:
        shown = {
            "kid": key.kid,
            "state": "signs" if key is keys[0] else "former" if key.stopped_at else "next",
            "made_at": key.made_at and key.made_at.isoformat(timespec="seconds"),
            "stopped_at": key.stopped_at and key.stopped_at.isoformat(timespec="seconds"),
        }
        click.echo(json.dumps(shown))
