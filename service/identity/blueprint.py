"""The blueprint of people's matters, shared by the modules that answer for it."""

from typing import TypeVar

from service.errors import DomainError
from service.web.blueprint import Blueprint

blueprint = Blueprint("identity", __name__, description="Citizens, staff, sign-in and consent")

Outcome = TypeVar("Outcome")


def settled(outcome: Outcome | DomainError) -> Outcome:
    """Return what a committed transaction gave, or raise the refusal it had to commit."""
    if isinstance(outcome, DomainError):
        raise outcome
    return outcome
