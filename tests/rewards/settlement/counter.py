"""The counter at which a bank and the scheme compare their books."""

import csv
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

from werkzeug.test import TestResponse

from service import clock
from service.ids import PARTNER, RECONCILIATION_RUN, STAFF, public_id, uuid_of
from service.rewards.settlement.batches import Batch
from service.rewards.settlement.closing import close_day, close_first
from service.rewards.settlement.reconciling import reconcile
from service.runtime import Runtime
from service.web.context import access_tokens
from tests.rewards.market import Customer, Market, Offered

COLUMNS = (
    "partner_reference",
    "redemption_id",
    "state",
    "benefit_value",
    "effective_from",
    "effective_to",
    "occurred_at",
    "points",
    "terms_hash",
    "pairwise_subject",
    "record_type",
)

Row = dict[str, str]
Plant = Callable[[list[Row]], object]


class Counter:
    """Closes days, writes the bank's file from ours, and has the two compared."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.offered = market.offer()
        self.partner_id = self.offered.partner_id
        self.day = clock.today()

    def captured(self, count: int = 1, offered: Offered | None = None, **said: Any) -> list[str]:
        of = offered or self.offered
        return [self.market.captured(self.customer(), of, **said) for _ in range(count)]

    def customer(self) -> Customer:
        return self.market.customer(self.partner_id)

    @contextmanager
    def next_morning(self, days: int = 1) -> Iterator[None]:
        with clock.shifted(timedelta(days=days)):
            yield

    def closed(self, day: date | None = None) -> dict[str, Any]:
        """Close a day in the morning after it and return the batch as the bank sees it."""
        wanted = day or self.day
        with self.next_morning((wanted - self.day).days + 1):
            batch = close_first(self.market.runtime, self.partner_id, wanted)
        assert batch is not None
        return self.seen(batch.public_id)

    def closed_tomorrow(self) -> dict[str, Any]:
        """Close the day after with what has come up since."""
        return self.closed(self.day + timedelta(days=1))

    def try_to_close(self, runtime: Runtime, day: date) -> Batch | None:
        return close_first(runtime, self.partner_id, day)

    def close_and_break_off(self) -> None:
        """Be killed just before the commit."""
        with self.market.runtime.database.raw_transaction() as connection:
            close_day(self.market.runtime, connection, self.partner_id, self.day)
            raise KeyboardInterrupt

    def seen(self, batch_id: str) -> dict[str, Any]:
        return self.get(f"/v1/settlement-batches/{batch_id}").get_json()  # type: ignore[no-any-return]  # JSON

    def file(self, batch_id: str) -> list[Row]:
        text = self.get(f"/v1/settlement-batches/{batch_id}/file").get_data(as_text=True)
        return list(csv.DictReader(io.StringIO(text)))

    def their_rows(self, batch_id: str) -> list[Row]:
        """Return what an honest bank would say of a batch."""
        return [
            {
                **{name: row[name] for name in COLUMNS if name in row},
                "state": "captured" if row["record_type"] == "CAPTURE" else "reversed",
            }
            for row in self.file(batch_id)
        ]

    def compared(
        self, batch_id: str, plant: Plant | None = None, **query: Any
    ) -> list[dict[str, Any]]:
        """Send the bank's file with what was planted in it; return the exceptions."""
        rows = self.their_rows(batch_id)
        if plant:
            plant(rows)
        sent = self.send(rows, batch_id=batch_id, **query)
        assert sent.status_code == 202, sent.get_json()
        self.work(sent.get_json()["run_id"])
        return self.exceptions(batch_id)

    def work(self, run_id: str) -> None:
        """Do what a worker does with a file."""
        reconcile(self.market.runtime, uuid_of(RECONCILIATION_RUN, run_id))

    def send(
        self, rows: list[Row], columns: tuple[str, ...] = COLUMNS, **query: Any
    ) -> TestResponse:
        out = io.StringIO()
        writer = csv.DictWriter(out, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        return self.send_text(out.getvalue(), **query)

    def send_text(self, text: str | bytes, **query: Any) -> TestResponse:
        return self.market.client.post(
            "/v1/partner-files",
            query_string=query,
            data=text,
            content_type="text/csv",
            headers=self.market.as_partner(self.partner_id),
        )

    def exceptions(self, batch_id: str) -> list[dict[str, Any]]:
        found = self.get("/v1/reconciliation-exceptions", batch_id=batch_id, limit=200)
        items: list[dict[str, Any]] = found.get_json()["items"]
        return [each for each in items if each["state"] in {"open", "proposed"}]

    def get(self, path: str, **query: Any) -> TestResponse:
        headers = self.market.as_partner(self.partner_id)
        return self.market.client.get(path, query_string=query, headers=headers)

    def by_staff(
        self, path: str, body: dict[str, Any] | None = None, *, who: UUID | None = None
    ) -> TestResponse:
        headers = self.as_staff(who or uuid4()) | {"Idempotency-Key": uuid4().hex}
        return self.market.client.post(path, json=body, headers=headers)

    def as_staff(self, who: UUID, role: str = "operator") -> dict[str, str]:
        with self.market.app.app_context():
            token = access_tokens().issue("staff", who, roles=[role])
        return {"Authorization": f"Bearer {token}"}

    def rerun(self, day: date, reason: str = "the file was wrong") -> TestResponse:
        body = {
            "partner_id": public_id(PARTNER, self.partner_id),
            "business_date": day.isoformat(),
            "reason": reason,
        }
        return self.by_staff("/v1/settlement-batches", body)

    def proposed(self, exception: dict[str, Any], resolution: str, who: UUID) -> TestResponse:
        path = f"/v1/reconciliation-exceptions/{exception['id']}/resolutions"
        body = {"resolution": resolution, "reason": "as agreed on the telephone"}
        return self.by_staff(path, body, who=who)

    def approved(self, exception: dict[str, Any], no: int, who: UUID) -> TestResponse:
        path = f"/v1/reconciliation-exceptions/{exception['id']}/resolutions/{no}/approvals"
        return self.by_staff(path, who=who)

    def resolved(self, exception: dict[str, Any], resolution: str) -> TestResponse:
        """Let two people resolve an exception."""
        proposed = self.proposed(exception, resolution, uuid4())
        assert proposed.status_code == 201, proposed.get_json()
        return self.approved(exception, proposed.get_json()["resolution_no"], uuid4())


def staff_id(who: UUID) -> str:
    return public_id(STAFF, who)
