"""Who does something to an account, as the log of such acts remembers it."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Actor:
    """A citizen herself, a staff member, or whoever sits at the command line."""

    kind: Literal["citizen", "staff", "command_line"]
    id: UUID | None = None


COMMAND_LINE = Actor("command_line")
