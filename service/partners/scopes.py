"""What a partner's token may be used for: roles, and the narrower scopes that a role brings.

A partner asks for roles, for scopes, or for nothing and gets everything it holds. Whoever asks for
scopes alone gets a token without a role, which cannot do what needs the role itself: such a token
sends no activities.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

HONOURING: Final = frozenset(
    {
        "offers:read",
        "offers:write",
        "redemptions:read",
        "redemptions:capture",
        "redemptions:void",
        "redemptions:reverse",
        "consents:read",
        "consents:revoke",
        "reports:read",
        "settlement:read",
        "settlement:write",
        "events:read",
        "webhooks:manage",
    }
)
"""Of whoever honours points."""
VERIFYING: Final = frozenset(
    {"persons:verify", "consents:read", "consents:revoke", "events:read", "webhooks:manage"}
)
"""Of whoever says which natural person a citizen is."""
SCOPES_OF_ROLE: Final[Mapping[str, frozenset[str]]] = {
    "source": frozenset(),
    "bank": HONOURING,
    "insurer": HONOURING,
    "merchant": HONOURING,
    "verifier": VERIFYING,
    "buyer": frozenset(),
}
ROLES: Final = frozenset(SCOPES_OF_ROLE)
SCOPES: Final = HONOURING | VERIFYING


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token carries."""

    roles: frozenset[str]
    scopes: frozenset[str]

    @property
    def names(self) -> frozenset[str]:
        """Everything it carries, as the token's `scope` lists it: roles are scopes too."""
        return self.roles | self.scopes


def scopes_of(roles: Iterable[str], allowed: frozenset[str] | None = None) -> frozenset[str]:
    """Return the scopes that roles bring.

    Args:
        roles: some of `ROLES`.
        allowed: the most that the partner's profile lets it have; None: whatever its roles bring.
    """
    brought = frozenset().union(*(SCOPES_OF_ROLE[role] for role in roles))
    return brought if allowed is None else brought & allowed


def granted(held: frozenset[str], allowed: frozenset[str] | None, asked: str) -> Grant | None:
    """Return what a partner gets that asks for a scope (RFC 6749 §3.3); None: it may not have it.

    Args:
        held: the partner's roles.
        allowed: as in `scopes_of`.
        asked: names of roles and scopes between spaces; empty: everything.
    """
    names = frozenset(asked.split())
    if not names:
        return Grant(held, scopes_of(held, allowed))
    if not names <= held | scopes_of(held, allowed):
        return None
    roles = names & held
    return Grant(roles, names - held | scopes_of(roles, allowed))
