"""What other packages do when a citizen withdraws a consent or leaves.

Identity knows neither activities nor points. Whoever composes the application or a command hands
in these functions; each runs in the transaction that ends the link or the account.
"""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

import click
from flask import current_app
from sqlalchemy.orm import Session

CONSEQUENCES = "carbon.consequences"
"""Key in `app.extensions` and in click's `Context.meta` under which the composer puts them."""


@dataclass(frozen=True, slots=True)
class EndedLink:
    """A consent that has just ended."""

    citizen_id: UUID
    link_id: UUID
    source_id: UUID
    account_digest: bytes


@dataclass(frozen=True, slots=True)
class Consequences:
    """Functions to call, in order."""

    link_ended: tuple[Callable[[Session, EndedLink], None], ...] = ()
    """When she did not say to keep what is pending."""
    citizen_left: tuple[Callable[[Session, UUID], None], ...] = ()
    """Before anything of hers is deleted."""


def of_application() -> Consequences:
    """Return what the application that serves this request was composed with."""
    found: Consequences = current_app.extensions.get(CONSEQUENCES, Consequences())
    return found


def of_command() -> Consequences:
    """Return what the command line that runs this command was composed with."""
    found: Consequences = click.get_current_context().meta.get(CONSEQUENCES, Consequences())
    return found
