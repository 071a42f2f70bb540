"""What can be said of an act by itself: whose it is, what it gives, whether it can be believed.

Nothing here reads the database, so it is done before any lock is taken.
"""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec

from service.activities.lines import OwnLine, Unreadable, flaw_in, shape_flaw
from service.activities.rulebook import DayTerms, Rulebook
from service.methodologies import BehaviorUnknown, Binding
from service.methodologies.reasons import Reason

EPOCH_DAY = date(1970, 1, 1).toordinal()
SHANGHAI_OFFSET_S = 8 * 3600
"""Asia/Shanghai has had no other offset since 1991, and no act is accepted from before."""

DAY_S = 86_400
TRIP_DURATION_MAX_S = DAY_S
"""The longest trip: the check for overlaps looks back this far and no further."""
ACT_DURATION_MAX_S = 366 * DAY_S

REACH_S = range(32_503_680_000)
"""Moments that can be worked with: from 1970 to the year 3000."""

SIGNED = "signed"
SELF_RECORDED = "self_recorded"

_data_decoders: dict[type, msgspec.json.Decoder[Any]] = {}
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

    @property
    def day(self) -> date:
        """The Asia/Shanghai day on which it began."""
        return day_at(self.start_s)

    @property
    def is_trip(self) -> bool:
        """Whether it takes part in the check that no two trips of a citizen overlap."""
        return self.binding is not None and self.binding.methodology.is_trip


def day_at(moment_s: float) -> date:
    """Return the Asia/Shanghai day of a moment given in seconds since 1970."""
    return date.fromordinal(EPOCH_DAY + int(moment_s + SHANGHAI_OFFSET_S) // DAY_S)


class Examiner:
    """Judges the acts of one source by one edition of the rules, at one moment."""

    def __init__(self, source: Source, rulebook: Rulebook, now: datetime) -> None:
        self.source = source
        self.rulebook = rulebook
        self.now_s = now.timestamp()
        self._bindings: dict[tuple[str, int], Binding] = {}

    def candidate(
        self,
        number: int,
        line: OwnLine,
        citizen_id: str,
        *,
        account_digest: str | None = None,
        is_frozen: bool = False,
        simulated: bool = False,
    ) -> Candidate | Unreadable:
        """Judge one act by itself.

        Returns:
            The candidate, refused or not; or why its quantities cannot be read at all.
        """
        start_s, end_s = line.started_at.timestamp(), line.ended_at.timestamp()
        if int(start_s) not in REACH_S or int(end_s) not in REACH_S:
            return Unreadable("time-malformed", {"pointer": "/started_at"})
        try:
            binding = self._binding(line.behavior, start_s)
        except BehaviorUnknown:
            return Unreadable("behavior-unknown", {"behavior": line.behavior[:64]})
        data = read_data(binding.data_type, line.activity_data)
        if isinstance(data, Unreadable):
            return data
        data_json = _encode(data).decode()
        terms = self.rulebook.terms_of(day_at(start_s))
        reason = self._reason(binding, terms, data, start_s, end_s)
        grams = 0 if reason else binding.quantify(data)
        if not grams and reason is None:
            reason = Reason("reduction-zero", {})
        content = f"{line.behavior}|{start_s!r}|{end_s!r}|{account_digest}|{data_json}"
        return Candidate(
            line=number,
            citizen_id=citizen_id,
            activity_id=activity_id(citizen_id, self.source.key, line.external_id),
            external_id=line.external_id,
            behavior=line.behavior,
            started_at=line.started_at,
            ended_at=line.ended_at,
            start_s=start_s,
            end_s=end_s,
            data=data,
            data_json=data_json,
            evidence_digest=hashlib.sha256(content.encode()).hexdigest(),
            account_digest=account_digest,
            terms=terms,
            binding=binding,
            reduction_g=grams,
            points=grams * terms.points // terms.per_g if terms and grams else 0,
            reason=reason,
            is_frozen=is_frozen,
            simulated=simulated,
        )

    def _binding(self, behavior: str, start_s: float) -> Binding:
        key = behavior, int(start_s + SHANGHAI_OFFSET_S) // DAY_S
        binding = self._bindings.get(key)
        if binding is None:
            binding = self.rulebook.library.bind(behavior, self.source.region, day_at(start_s))
            self._bindings[key] = binding
        return binding

    def _reason(
        self, binding: Binding, terms: DayTerms | None, data: Any, start_s: float, end_s: float
    ) -> Reason | None:
        """Return the first reason against the act, in the documented order."""
        return (
            self._untimely(terms, start_s, end_s)
            or binding.refusal
            or binding.refusal_for(data)
            or self._unvouched(binding)
            or implausible(binding, data, end_s - start_s)
        )

    def _untimely(self, terms: DayTerms | None, start_s: float, end_s: float) -> Reason | None:
        if end_s < start_s:
            return Reason("ends-before-start", {})
        if terms is None:
            return Reason("rules-not-in-force", {})
        if end_s > self.now_s + terms.rules.clock_tolerance_s:
            return Reason("in-the-future", {})
        if self.now_s - end_s > terms.rules.lateness_days * DAY_S:
            return Reason("too-late", {"days": str(terms.rules.lateness_days)})
        return None

    def _unvouched(self, binding: Binding) -> Reason | None:
        if self.source.tier == SELF_RECORDED and binding.methodology.evidence == SIGNED:
            return Reason("evidence-tier-too-low", {"behavior": binding.methodology.behavior})
        return None


def implausible(binding: Binding, data: Any, duration_s: float) -> Reason | None:
    """Return why nobody can have done this, or None."""
    limits = binding.methodology.plausibility
    longest_s = TRIP_DURATION_MAX_S if binding.methodology.is_trip else ACT_DURATION_MAX_S
    if limits is not None and limits.max_duration_s is not None:
        longest_s = min(longest_s, limits.max_duration_s)
    if duration_s > longest_s:
        return Reason("duration-impossible", {"limit_s": str(longest_s)})
    distance_m = getattr(data, "distance_m", None)
    if limits is None or distance_m is None:
        return None
    if limits.max_distance_m is not None and distance_m > limits.max_distance_m:
        return Reason("distance-impossible", {"limit_m": str(limits.max_distance_m)})
    speed = limits.max_speed_kmh
    if speed is not None and distance_m * 3600 > speed * 1000 * duration_s:
        return Reason("speed-impossible", {"limit_kmh": str(speed)})
    return None


def read_data(data_type: type, raw: msgspec.Raw) -> Any | Unreadable:
    """Read the measured quantities of an act as its methodology wants them."""
    decoder = _data_decoders.get(data_type)
    if decoder is None:
        decoder = _data_decoders[data_type] = msgspec.json.Decoder(data_type)
    try:
        return decoder.decode(raw)
    except msgspec.ValidationError as error:
        flaw = shape_flaw(error)
        pointer = f"/activity_data{flaw.params['pointer']}"
        return Unreadable(flaw.code, {**flaw.params, "pointer": pointer})
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return flaw_in(bytes(raw)) or Unreadable("json-malformed", {"problem": "activity_data"})


def activity_id(citizen_id: str, source_key: bytes, external_id: str, revision: int = 0) -> str:
    """Derive an activity's id from its natural key, so that the key is unique for ever.

    The primary key (citizen, id) then is the natural key: one index does the work of two.

    Returns:
        A version 8 UUID (RFC 9562) as 32 hexadecimal digits.
    """
    material = f"{citizen_id}:{source_key.hex()}:{revision}:{external_id}"
    digest = hashlib.sha256(material.encode()).hexdigest()
    return f"{digest[:12]}8{digest[13:16]}8{digest[17:32]}"
