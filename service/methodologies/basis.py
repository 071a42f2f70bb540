"""The basis of a result: which methodology version and factor values; enough to recompute it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import msgspec

from service.methodologies.errors import BasisUnreadable
from service.methodologies.methodology import Methodology
from service.methodologies.registry import METHODOLOGIES
from service.units import exact_ratio

ROUNDING = "floor once"


@dataclass(frozen=True, slots=True)
class FactorRef:
    """The factor value that played a role, pinned."""

    role: str
    key: str
    region: str
    version_id: str
    value: str
    unit: str


@dataclass(frozen=True)
class Basis:
    """What a whole class of results rests on; the same for every day on which nothing changed.

    Attributes:
        region: the place of the act.
        refusal: the code of the reason for which nothing of this class is certified, or None.
        digest: hex SHA-256 of the content, the same on every machine.
    """

    methodology: str
    version: int
    region: str
    factors: tuple[FactorRef, ...]
    refusal: str | None = None
    rounding: str = ROUNDING

    def as_dict(self) -> dict[str, Any]:
        """Return the content as plain JSON values."""
        return {
            "methodology": self.methodology,
            "version": self.version,
            "region": self.region,
            "factors": [asdict(ref) for ref in self.factors],
            "refusal": self.refusal,
            "rounding": self.rounding,
        }

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of the content."""
        text = json.dumps(self.as_dict(), sort_keys=True, ensure_ascii=True, separators=(",", ":"))
        return hashlib.sha256(text.encode("ascii")).hexdigest()


def recompute(basis: Mapping[str, Any], data: Mapping[str, Any]) -> int:
    """Compute the grams of a stored result again, from what was stored with it.

    Args:
        basis: as `Basis.as_dict` gave it.
        data: the activity data, as plain JSON values.

    Raises:
        BasisUnreadable: the version is not published, or basis or data do not fit it.
    """
    methodology = _published(basis)
    try:
        values = {ref["role"]: exact_ratio(ref["value"]) for ref in basis["factors"]}
        act = msgspec.convert(dict(data), methodology.data_type)
        if basis["refusal"] is not None:
            return 0
        return methodology.quantifier(values)(act)
    except (KeyError, TypeError, ValueError, ArithmeticError, msgspec.ValidationError) as misfit:
        raise BasisUnreadable(
            "The stored basis or data do not fit {methodology}.", methodology=methodology.name
        ) from misfit


def _published(basis: Mapping[str, Any]) -> Methodology:
    wanted = (basis.get("methodology"), basis.get("version"))
    for methodology in METHODOLOGIES:
        if (methodology.code, methodology.version) == wanted:
            return methodology
    raise BasisUnreadable(
        "No methodology {code} version {version} is published.",
        code=str(wanted[0]),
        version=str(wanted[1]),
    )
