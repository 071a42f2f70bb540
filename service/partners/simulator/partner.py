"""A simulated partner at work: it hears of redemptions, decides, and says what it decided."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from service import clock
from service.partners.simulator.agenda import Agenda
from service.partners.simulator.book import Benefit, Book, Entry
from service.partners.simulator.habits import Character, Plan
from service.partners.simulator.service_client import Refused, ServiceClient, Silent

Tell = Callable[..., None]
"""Prints one thing done, with its members."""
Act = Callable[[str], None]
"""Does something about the object of an id."""

VALUE_MEMBERS: Final = ("rate_delta_bp", "uplift_percent", "amount_minor", "factor")
BENEFIT_MEMBERS: Final = ("kind", "currency", *VALUE_MEMBERS)
IN_FORCE: Final = timedelta(days=365)
LATER_S: Final = 30.0


class SimulatedPartner:
    """Hears events, acts on them by its character, and keeps a book of it."""

    def __init__(
        self, service: ServiceClient, character: Character, agenda: Agenda, tell: Tell
    ) -> None:
        self.book = Book()
        self._service = service
        self._character = character
        self._agenda = agenda
        self._tell = tell
        self._acts: dict[str, Act] = {
            "redemption.submitted": self._consider,
            "redemption.void_requested": self._grant_void,
            "consent.revoked": self._acknowledge,
        }

    def hear(self, event: Mapping[str, Any], how: str) -> None:
        """Take an event in, however it came; acting on it is put on the agenda."""
        about = event["data"]
        if not self.book.is_news(event):
            return
        self._tell("heard", by=how, event=event["type"], id=about["id"], seq=event["seq"])
        act = self._acts.get(event["type"])
        if act is not None:
            self._soon(0, act, about["id"])

    def _soon(self, wait_s: float, act: Act, object_id: str) -> None:
        self._agenda.after(wait_s, partial(self._try, act, object_id))

    def _try(self, act: Act, object_id: str) -> None:
        """Do something; what is refused is told, and what is not answered is tried again."""
        try:
            act(object_id)
        except Refused as refusal:
            self._tell("refused", id=object_id, code=refusal.code, detail=refusal.detail)
        except Silent as silence:
            self._tell("unanswered", id=object_id, reason=str(silence))
            self._soon(LATER_S, act, object_id)

    def _consider(self, redemption_id: str) -> None:
        """Read a redemption, verify its entitlement, and decide."""
        redemption = self._service.get(f"/v1/redemptions/{redemption_id}")
        if redemption["state"] not in {"submitted", "unknown"}:
            self._remember(redemption)
        elif self._is_entitled(redemption):
            self._decide(redemption)
        else:
            self._decline("fraud-suspected", redemption_id)

    def _decide(self, redemption: Mapping[str, Any]) -> None:
        plan = self._character.plan(redemption)
        self._tell("decided", id=redemption["id"], deed=plan.deed, wait_s=round(plan.wait_s, 1))
        if plan.deed == "decline":
            self._soon(plan.wait_s, partial(self._decline, "not-approved"), redemption["id"])
        elif plan.deed != "never":
            self._soon(plan.wait_s, partial(self._grant, redemption, plan), redemption["id"])

    def _is_entitled(self, redemption: Mapping[str, Any]) -> bool:
        """Verify the entitlement offline: that proves who wrote it, and only a capture spends."""
        document = redemption.get("entitlement")
        if document is None:
            return True  # while it is unknown we show none, and asking us was verification enough
        try:
            claims = self._service.entitlement(document)
        except (ValueError, KeyError) as error:
            self._tell("distrusted", id=redemption["id"], reason=str(error))
            return False
        expected = (redemption["id"], redemption["terms_hash"])
        return (claims["jti"], claims["terms_hash"]) == expected

    def _grant(self, redemption: Mapping[str, Any], plan: Plan, redemption_id: str) -> None:
        known = self.book.about(redemption_id)
        if known is not None and known.state != "pending":
            return
        # What was sent before without an answer is sent again as it was.
        wish = known.capture if known and known.capture else _capture_of(redemption, plan)
        reference = wish["partner_reference"]
        if plan.deed == "silent":
            self._captured(redemption_id, wish)
            self._tell("granted in silence", id=redemption_id, points=plan.points)
            return
        self.book.note(Benefit(redemption_id, "pending", reference, wish))
        path = f"/v1/redemptions/{redemption_id}/captures"
        try:
            record = self._service.post(path, wish, key=f"{reference}-capture")
        except Refused:
            self.book.forget(redemption_id)
            raise
        self._captured(redemption_id, wish, datetime.fromisoformat(record["recorded_at"]))
        self._tell("captured", id=redemption_id, points=plan.points, record=record["id"])
        if plan.is_said_twice:
            again = self._service.post(path, wish)
            self._tell("captured again", id=redemption_id, is_same=again["id"] == record["id"])
        if plan.cools_off:
            self._soon(self._character.habits.cooling_off_s, self._reverse, redemption_id)

    def _captured(
        self, redemption_id: str, wish: Mapping[str, Any], at: datetime | None = None
    ) -> None:
        reference = wish["partner_reference"]
        self.book.note(Benefit(redemption_id, "captured", reference, wish))
        self.book.enter(_entry("CAPTURE", redemption_id, wish, at or clock.now()))

    def _decline(self, reason: str, redemption_id: str) -> None:
        reference = f"{reference_of(redemption_id)}-d"
        body = {"reason": reason, "partner_reference": reference}
        self._service.post(f"/v1/redemptions/{redemption_id}/declines", body, key=reference)
        self.book.note(Benefit(redemption_id, "declined", reference, reason=reason))
        self._tell("declined", id=redemption_id, reason=reason)

    def _grant_void(self, redemption_id: str) -> None:
        known = self.book.about(redemption_id)
        if known is not None and known.state == "captured":
            self._tell("kept", id=redemption_id, reason="the benefit is in force")
            return
        reference = f"{reference_of(redemption_id)}-v"
        body = {"reason": "customer-withdrew", "partner_reference": reference}
        self._service.post(f"/v1/redemptions/{redemption_id}/voids", body, key=reference)
        self.book.note(Benefit(redemption_id, "voided", reference))
        self._tell("voided", id=redemption_id)

    def _reverse(self, redemption_id: str) -> None:
        """Take the whole benefit back within the cooling-off period."""
        reference = f"{reference_of(redemption_id)}-r"
        body = {"reason": "cooling-off", "partner_reference": reference}
        path = f"/v1/redemptions/{redemption_id}/reversals"
        self._reversed(self._service.post(path, body, key=reference))
        self._tell("reversed", id=redemption_id)

    def _reversed(self, record: Mapping[str, Any]) -> None:
        at = datetime.fromisoformat(record["recorded_at"])
        self.book.enter(_entry("REVERSAL", record["redemption_id"], record, at, record["state"]))

    def _remember(self, redemption: Mapping[str, Any]) -> None:
        """Learn after a restart what was done before it."""
        self._tell("remembered", id=redemption["id"], state=redemption["state"])
        for record in redemption["records"]:
            if record["kind"] == "capture":
                wish = {
                    "benefit_actual": redemption["benefit"],  # unless the capture said another
                    **record["details"],
                    "points": record["points"],
                    "partner_reference": record["partner_reference"],
                }
                at = datetime.fromisoformat(record["recorded_at"])
                self._captured(redemption["id"], wish, at)
            elif record["kind"] == "reversal":
                self._reversed(record)

    def _acknowledge(self, consent_id: str) -> None:
        self._service.post(f"/v1/consents/{consent_id}/acknowledgements")
        self._tell("acknowledged", id=consent_id)


def reference_of(redemption_id: str) -> str:
    """Return what the partner calls its own record of a redemption, also after a restart."""
    return f"sim-{redemption_id.removeprefix('rdm_')}"


def _capture_of(redemption: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
    now, quoted = clock.now(), redemption["benefit"]
    actual = {name: quoted[name] for name in BENEFIT_MEMBERS if name in quoted}
    if plan.factor is not None:
        actual["factor"] = plan.factor
    return {
        "partner_reference": reference_of(redemption["id"]),
        "points": plan.points,
        "terms_hash": redemption["terms_hash"],
        "effective_from": now.isoformat(timespec="seconds"),
        "effective_to": (now + IN_FORCE).isoformat(timespec="seconds"),
        "benefit_actual": actual,
    }


def _entry(
    record_type: Any,
    redemption_id: str,
    said: Mapping[str, Any],
    at: datetime,
    state: str = "captured",
) -> Entry:
    actual = said.get("benefit_actual") or {}
    value = next((str(actual[name]) for name in VALUE_MEMBERS if name in actual), "1")
    is_capture = record_type == "CAPTURE"
    return Entry(
        record_type,
        redemption_id,
        said["partner_reference"],
        state,
        said["points"],
        value if is_capture else "",
        said.get("effective_from", ""),
        said.get("effective_to", ""),
        at,
    )
