"""What can be said of an act by itself: whose it is, what it gives, whether it can be believed.

Nothing here reads the database, so it is done before any lock is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

import msgspec

from service.activities.intake.lines import OwnLine, Unreadable, flaw_in, shape_flaw
from service.activities.rules.rulebook import DayTerms, Rulebook
from service.methodologies import BehaviorUnknown, Binding, Methodology
from service.methodologies.reasons import Reason
from service.methodologies.registry import METHODOLOGIES

EPOCH_DAY = date(1970, 1, 1).toordinal()
SHANGHAI_OFFSET_S = 8 * 3600
"""Asia/Shanghai has had no other offset since 1991, and no act is accepted from before."""

DAY_S = 86_400
TRIP_DURATION_MAX_S = DAY_S
"""The longest trip: the check for overlaps looks back this far and no further."""
READING_DURATION_MAX_S = 62 * DAY_S
"""The longest period of a meter's reading, two months: the check looks back this far."""
ACT_DURATION_MAX_S = 366 * DAY_S

LAST_MOMENT_S = 32_503_680_000
"""Moments that can be worked with are those from 1970 to the year 3000."""

SIGNED = "signed"
SELF_RECORDED = "self_recorded"

METERED = frozenset(
    methodology.behavior
    for methodology in METHODOLOGIES
    if "energy_wh" in methodology.data_type.__struct_fields__ and not methodology.is_trip
)
"""Behaviors that a meter reads: the same kilowatt-hour stands in every reading of its time."""

LESS_THAN_A_GRAM = Reason("reduction-zero", {})

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What a decoder may raise, whatever it is given."""

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Source:
    """Who reports, as far as the judgement of an act depends on it."""

    id: UUID | None
    """None: the citizen herself."""
    region: str
    tier: str
    delay_days: int | None
    """Days until certification; None: the rules' delay for self-recorded acts."""

    @property
    def key(self) -> bytes:
        """What stands for the source in an activity's id."""
        return self.id.bytes if self.id else b"citizen"


@dataclass(slots=True)
class Candidate:
    """A readable act of a known citizen, judged by itself and not yet beside her other acts."""

    line: int
    citizen_id: str
    activity_id: str
    external_id: str
    behavior: str
    started_at: datetime
    ended_at: datetime
    start_s: float
    end_s: float
    data: Any
    data_json: str
    evidence_digest: str
    account_digest: str | None
    terms: DayTerms | None
    binding: Binding | None
    reduction_g: int
    points: int
    reason: Reason | None
    """Why it is refused; None: nothing speaks against it so far."""
    is_frozen: bool
    simulated: bool
    revision: int = 0
    """How often its source has restated the record."""

    @property
    def day(self) -> date:
        """The Asia/Shanghai day on which it began."""
        return self.terms.day if self.terms else day_at(self.start_s)

    @property
    def is_trip(self) -> bool:
        """Whether it takes part in the check that no two trips of a citizen overlap."""
        return self.binding is not None and self.binding.methodology.is_trip

    @property
    def is_reading(self) -> bool:
        """Whether it takes part in the check that no two readings of a meter overlap."""
        return self.behavior in METERED


def day_at(moment_s: float) -> date:
    """Return the Asia/Shanghai day of a moment given in seconds since 1970."""
    return date.fromordinal(EPOCH_DAY + int(moment_s + SHANGHAI_OFFSET_S) // DAY_S)


@dataclass(frozen=True, slots=True)
class Ground:
    """What holds for every act of one behavior on one day, worked out once."""

    binding: Binding
    terms: DayTerms | None
    decode: Callable[[msgspec.Raw], Any]
    names: tuple[bytes, ...]
    """Of the quantities, in quotation marks."""
    latest_end_s: float
    """An act that ends later is in the future."""
    earliest_end_s: float
    """An act that ended before is reported too late."""
    refusal: Reason | None
    """Why no act of this kind, place and day is certified, or None."""
    unvouched: Reason | None
    """Why the source's word is not enough for it, or None."""
    longest_s: int
    farthest_m: int | None
    fastest_kmh: int | None
    strongest_w: int | None


class Examiner:
    """Judges the acts of one source by one edition of the rules, at one moment."""

    def __init__(
        self, source: Source, rulebook: Rulebook, now: datetime, received_at: datetime | None = None
    ) -> None:
        """Prepare to judge.

        Args:
            source: who reports.
            rulebook: the rules in force.
            now: an act that ends later is in the future.
            received_at: when the record came first, if it is restated now: lateness is counted to
                then.
        """
        self.source = source
        self.rulebook = rulebook
        self.now_s = now.timestamp()
        self.received_s = self.now_s if received_at is None else received_at.timestamp()
        self._key = source.key.hex()
        self._grounds: dict[tuple[str, int], Ground] = {}

    def candidate(
        self,
        number: int,
        line: OwnLine,
        citizen_id: str,
        *,
        account_digest: str | None = None,
        is_frozen: bool = False,
        simulated: bool = False,
        revision: int = 0,
    ) -> Candidate | Unreadable:
        """Judge one act by itself.

        Returns:
            The candidate, refused or not; or why its quantities cannot be read at all.
        """
        started_at, ended_at, behavior = line.started_at, line.ended_at, line.behavior
        start_s, end_s = started_at.timestamp(), ended_at.timestamp()
        if not (0 <= start_s < LAST_MOMENT_S and 0 <= end_s < LAST_MOMENT_S):
            return Unreadable("time-malformed", {"pointer": "/started_at"})
        ground = self._ground(behavior, start_s)
        if ground is None:
            return Unreadable("behavior-unknown", {"behavior": behavior[:64]})
        try:
            data = ground.decode(line.activity_data)
        except UNREADABLE as error:
            return _data_flaw(line.activity_data, error)
        encoded = _encode(data)
        raw = bytes(line.activity_data)
        # What reads back to the same text, spaces aside, has no name twice.
        if encoded not in (raw, raw.replace(b" ", b"")):
            flaw = _named_twice(ground.names, raw)
            if flaw is not None:
                return flaw
        terms = ground.terms
        reason = _reason(ground, data, start_s, end_s)
        grams = 0 if reason else ground.binding.quantify(data)
        if not grams and reason is None:
            reason = LESS_THAN_A_GRAM
        data_json = encoded.decode()
        content = f"{behavior}|{start_s}|{end_s}|{account_digest}|{data_json}"
        return Candidate(
            number,
            citizen_id,
            derived_id(f"{citizen_id}:{self._key}:{revision}:{line.external_id}"),
            line.external_id,
            behavior,
            started_at,
            ended_at,
            start_s,
            end_s,
            data,
            data_json,
            sha256(content.encode()).hexdigest(),
            account_digest,
            terms,
            ground.binding,
            grams,
            grams * terms.points // terms.per_g if terms and grams else 0,
            reason,
            is_frozen,
            simulated,
            revision,
        )

    def _ground(self, behavior: str, start_s: float) -> Ground | None:
        """Return what holds for the behavior on the day, or None for no behavior of ours."""
        key = behavior, int(start_s + SHANGHAI_OFFSET_S) // DAY_S
        ground = self._grounds.get(key)
        if ground is None:
            try:
                ground = self._grounds[key] = self._laid(behavior, day_at(start_s))
            except BehaviorUnknown:
                return None
        return ground

    def _laid(self, behavior: str, day: date) -> Ground:
        binding = self.rulebook.library.bind(behavior, self.source.region, day)
        terms = self.rulebook.terms_of(day)
        methodology = binding.methodology
        limits = methodology.plausibility
        longest_s = _longest_s(binding.methodology)
        if limits is not None and limits.max_duration_s is not None:
            longest_s = min(longest_s, limits.max_duration_s)
        rules = terms.rules if terms else None
        return Ground(
            binding=binding,
            terms=terms,
            decode=msgspec.json.Decoder(binding.data_type).decode,
            names=tuple(
                f'"{name}"'.encode() for name in binding.data_type.__struct_encode_fields__
            ),
            latest_end_s=self.now_s + (rules.clock_tolerance_s if rules else 0),
            earliest_end_s=self.received_s - (rules.lateness_days * DAY_S if rules else 0),
            refusal=binding.refusal,
            longest_s=longest_s,
            farthest_m=limits.max_distance_m if limits else None,
            fastest_kmh=limits.max_speed_kmh if limits else None,
            strongest_w=limits.max_power_w if limits else None,
            unvouched=self._unvouched(binding),
        )

    def _unvouched(self, binding: Binding) -> Reason | None:
        if self.source.tier == SELF_RECORDED and binding.methodology.evidence == SIGNED:
            return Reason("evidence-tier-too-low", {"behavior": binding.methodology.behavior})
        return None


def _longest_s(methodology: Methodology) -> int:
    if methodology.is_trip:
        return TRIP_DURATION_MAX_S
    return READING_DURATION_MAX_S if methodology.behavior in METERED else ACT_DURATION_MAX_S


def _reason(ground: Ground, data: Any, start_s: float, end_s: float) -> Reason | None:
    """Return the first reason against the act by itself.

    In this order: its times, its methodology, its quantities, who vouches for it, and whether
    anybody can have done it.
    """
    if not start_s <= end_s <= ground.latest_end_s or end_s < ground.earliest_end_s:
        return _untimely(ground, start_s, end_s)
    if ground.terms is None:
        return Reason("rules-not-in-force", {})
    return (
        ground.refusal
        or ground.binding.refusal_for(data)
        or ground.unvouched
        or _implausible(ground, data, end_s - start_s)
    )


def _untimely(ground: Ground, start_s: float, end_s: float) -> Reason:
    if end_s < start_s:
        return Reason("ends-before-start", {})
    if ground.terms is None:
        return Reason("rules-not-in-force", {})
    if end_s > ground.latest_end_s:
        return Reason("in-the-future", {})
    return Reason("too-late", {"days": str(ground.terms.rules.lateness_days)})


def _implausible(ground: Ground, data: Any, duration_s: float) -> Reason | None:
    """Return why nobody can have done this, or None."""
    if duration_s > ground.longest_s:
        return Reason("duration-impossible", {"limit_s": str(ground.longest_s)})
    strongest_w = ground.strongest_w
    if strongest_w is not None and data.energy_wh * 3600 > strongest_w * duration_s:
        return Reason("power-impossible", {"limit_w": str(strongest_w)})
    distance_m = getattr(data, "distance_m", None)
    if distance_m is None:
        return None
    if ground.farthest_m is not None and distance_m > ground.farthest_m:
        return Reason("distance-impossible", {"limit_m": str(ground.farthest_m)})
    speed = ground.fastest_kmh
    if speed is not None and distance_m * 3600 > speed * 1000 * duration_s:
        return Reason("speed-impossible", {"limit_kmh": str(speed)})
    return None


def read_data(data_type: type, raw: msgspec.Raw) -> Any | Unreadable:
    """Read the measured quantities of an act as its methodology wants them."""
    try:
        return msgspec.json.Decoder(data_type).decode(raw)
    except UNREADABLE as error:
        return _data_flaw(raw, error)


def _named_twice(names: tuple[bytes, ...], raw: bytes) -> Unreadable | None:
    """Return which quantity is given twice, or None; the decoder takes the last without a word.

    A name that is spelled with an escape has been found when the line was read.
    """
    for name in names:
        if raw.count(name) > 1:  # or a station is called that
            return flaw_in(raw)
    return None


def _data_flaw(raw: msgspec.Raw, error: Exception) -> Unreadable:
    if isinstance(error, msgspec.ValidationError):
        flaw = shape_flaw(error)
        pointer = f"/activity_data{flaw.params['pointer']}"
        return Unreadable(flaw.code, {**flaw.params, "pointer": pointer})
    return flaw_in(bytes(raw)) or Unreadable("json-malformed", {"problem": "activity_data"})


def activity_id(citizen_id: str, source_key: bytes, external_id: str, revision: int = 0) -> str:
    """Derive an activity's id from its natural key, so that the key is unique for ever.

    The primary key (citizen, id) then is the natural key: one index does the work of two.

    Returns:
        A version 8 UUID (RFC 9562) as 32 hexadecimal digits.
    """
    return derived_id(f"{citizen_id}:{source_key.hex()}:{revision}:{external_id}")


def derived_id(natural_key: str) -> str:
    """Return the version 8 UUID that stands for a natural key, as 32 hexadecimal digits."""
    digest = sha256(natural_key.encode()).hexdigest()
    return f"{digest[:12]}8{digest[13:16]}8{digest[17:32]}"
