"""The command line of people's matters: `carbon staff …` and `carbon citizen …`."""

import json
from typing import Any
from uuid import UUID

import click

from service.db import driver_connection
from service.identity import citizens, erasure, sign_in, staff
from service.identity.actors import COMMAND_LINE
from service.identity.consequences import of_command
from service.identity.models import CitizenIdentity
from service.identity.phones import read_phone
from service.ids import CITIZEN, STAFF, public_id, uuid_of
from service.partners.organisations import partner_by_name
from service.runtime import Runtime

REASON = click.option("--reason", required=True, help="Kept for ever; name no person in it.")


def runtime() -> Runtime:
    """Return what this command line works on."""
    found: Runtime = click.get_current_context().obj
    return found


@click.group("staff", help="People who work for the scheme.")
def staff_group() -> None:
    """Hold the commands about staff."""


@staff_group.command("add")
@click.option("--name", required=True)
@click.option("--role", required=True, type=click.Choice(["operator", "verifier", "auditor"]))
@click.option("--partner", help="The verification body a verifier works for.")
@click.option("--totp", is_flag=True, help="Demand a second factor; prints its otpauth address.")
def add_staff(name: str, role: staff.Role, partner: str | None, *, totp: bool) -> None:
    """Add a staff member; the password is printed once."""
    with runtime().database.transaction() as session:
        partner_id = partner_by_name(driver_connection(session), partner).id if partner else None
        new = staff.add_staff(
            session, runtime().keys, name, role, partner_id=partner_id, with_totp=totp
        )
    shown = {
        "staff_id": public_id(STAFF, new.id),
        "name": name,
        "role": role,
        "password": new.password,
    }
    _print(shown | ({"totp_uri": new.totp_uri} if new.totp_uri else {}))


@staff_group.command("list")
def list_staff() -> None:
    """Print every staff member, one JSON object a line."""
    with runtime().database.transaction() as session:
        for member in staff.all_staff(session):
            _print(
                {
                    "staff_id": public_id(STAFF, member.id),
                    "name": member.name,
                    "role": member.role,
                    "state": member.state,
                }
            )


@staff_group.command("suspend")
@click.option("--name", required=True)
def suspend_staff(name: str) -> None:
    """End a staff member's work at once."""
    with runtime().database.transaction() as session:
        staff.suspend_staff(session, name)
    _print({"name": name, "state": "suspended"})


@click.group("citizen", help="Accounts of citizens.")
def citizen_group() -> None:
    """Hold the commands about citizens."""


@citizen_group.command("find")
@click.option("--phone", required=True, help="A number she has, or had.")
def find_citizen(phone: str) -> None:
    """Print the accounts that hold or held a number, one JSON object a line."""
    index = read_phone(phone).index(runtime().keys)
    with runtime().database.transaction() as session:
        for found in citizens.accounts_of_number(session, index):
            _print(
                {
                    "citizen_id": public_id(CITIZEN, found.citizen_id),
                    "holds_it_now": _holds(found, index),
                }
            )


@citizen_group.command("freeze")
@click.argument("citizen_id")
@REASON
def freeze_citizen(citizen_id: str, reason: str) -> None:
    """Stop an account."""
    with runtime().database.transaction() as session:
        citizens.freeze(session, _citizen(citizen_id), COMMAND_LINE, reason)
    _print({"citizen_id": citizen_id, "state": "frozen"})


@citizen_group.command("release")
@click.argument("citizen_id")
@REASON
def release_citizen(citizen_id: str, reason: str) -> None:
    """Let a frozen account live again."""
    with runtime().database.transaction() as session:
        citizens.release(session, _citizen(citizen_id), COMMAND_LINE, reason)
    _print({"citizen_id": citizen_id, "state": "active"})


@citizen_group.command("restore")
@click.argument("citizen_id")
@click.option("--phone", help="The number she has now, if it is another one.")
@REASON
def restore_citizen(citizen_id: str, phone: str | None, reason: str) -> None:
    """Give an account back to a person whom staff have identified."""
    number = read_phone(phone) if phone else None
    with runtime().database.transaction() as session:
        sign_in.restore(session, runtime().keys, _citizen(citizen_id), number, COMMAND_LINE, reason)
        held_until = citizens.spending_held_until(session, _citizen(citizen_id))
    _print({"citizen_id": citizen_id, "spending_held_until": str(held_until)})


@citizen_group.command("erase")
@click.argument("citizen_id")
def erase_citizen(citizen_id: str) -> None:
    """Let a citizen leave who asked staff for it."""
    with runtime().database.transaction() as session:
        erasure.begin_erasure(session, _citizen(citizen_id), "command_line", of_command())
    with runtime().eraser.raw_transaction() as connection:
        erasure.complete_erasure(connection, _citizen(citizen_id))
    _print({"citizen_id": citizen_id, "state": "erased"})


@citizen_group.command("finish-erasures")
def finish_erasures() -> None:
    """Complete erasures that a crash has left half done."""
    _print({"finished": erasure.finish_erasures(runtime())})


def _citizen(text: str) -> UUID:
    return uuid_of(CITIZEN, text)


def _holds(found: CitizenIdentity, index: bytes) -> bool:
    return found.phone_index == index


def _print(shown: dict[str, Any]) -> None:
    click.echo(json.dumps(shown, ensure_ascii=False))
