"""The shapes of settlement batches at the HTTP edge."""

from collections.abc import Sequence
from typing import Any, Final

from marshmallow import Schema, fields, validate

from service import ids
from service.ids import public_id
from service.rewards.settlement.batches import MOVES, Batch, Change
from service.rewards.settlement.manifests import Manifest
from service.web.pagination import PageQuery

REASON: Final = validate.Length(1, 500)


class SettlementBatchQuery(PageQuery):
    """Query of GET /v1/settlement-batches."""

    state = fields.String(load_default=None, validate=validate.OneOf(list(MOVES)))
    business_date = fields.Date(load_default=None)
    partner_id = fields.String(load_default=None, metadata={"description": "For staff."})


class SettlementBatchRequest(Schema):
    """Body of POST /v1/settlement-batches."""

    partner_id = fields.String(required=True, metadata={"example": "prt_" + "0" * 32})
    business_date = fields.Date(required=True, metadata={"description": "A day that is over."})
    reason = fields.String(
        required=True,
        validate=REASON,
        metadata={"description": "Why the day is closed by hand, or once more."},
    )


class SettlementBatchView(Schema):
    """What one business date comes to with one partner."""

    id = fields.String(required=True)
    partner_id = fields.String(required=True)
    partner = fields.String(required=True)
    business_date = fields.Date(required=True, metadata={"description": "Asia/Shanghai"})
    n = fields.Integer(required=True, metadata={"description": "Grows with each rerun."})
    state = fields.String(required=True, validate=validate.OneOf(list(MOVES)))
    version = fields.Integer(required=True)
    lines = fields.Integer(required=True)
    totals = fields.Dict(
        required=True,
        metadata={
            "description": "By record type: lines, points, reduction_g, subsidy_minor (fen), and"
            " the last one by payer."
        },
    )
    created_at = fields.AwareDateTime(required=True)


class SettlementChangeView(Schema):
    """One change of a batch's state."""

    version = fields.Integer(required=True)
    state = fields.String(required=True)
    actor_kind = fields.String(required=True)
    reason = fields.String(required=True, allow_none=True)
    changed_at = fields.AwareDateTime(required=True)


class ManifestLogEntryView(Schema):
    """The log's entry of a manifest: what its commitment is made of, see docs/transparency.md."""

    event_id = fields.String(required=True, metadata={"description": "hex"})
    kind = fields.String(required=True)
    content = fields.String(required=True)
    salt = fields.String(required=True, metadata={"description": "hex"})
    recorded_at = fields.AwareDateTime(required=True)
    commitment = fields.String(required=True, metadata={"description": "hex"})
    leaf_index = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "For GET /v1/log/proofs/inclusion; null in its first seconds."},
    )


class ManifestDigestsView(Schema):
    """The digests of a batch's manifest."""

    chain_no = fields.Integer(required=True)
    sha256 = fields.String(required=True, metadata={"description": "Of the compact JWS, hex."})
    previous_sha256 = fields.String(required=True, allow_none=True)
    file_sha256 = fields.String(required=True)
    log_entry = fields.Nested(ManifestLogEntryView, required=True)


class SettlementBatchDetailView(SettlementBatchView):
    """A batch with its history and its manifest's digests."""

    history = fields.List(fields.Nested(SettlementChangeView), required=True)
    manifest = fields.Nested(ManifestDigestsView, required=True)


def batch_view(batch: Batch) -> dict[str, Any]:
    """Return a batch as it is shown."""
    return {
        "id": batch.public_id,
        "partner_id": public_id(ids.PARTNER, batch.partner_id),
        "partner": batch.partner,
        "business_date": batch.business_date,
        "n": batch.no,
        "state": batch.state,
        "version": batch.version,
        "lines": batch.lines,
        "totals": batch.totals,
        "created_at": batch.recorded_at,
    }


def batch_detail_view(
    batch: Batch, changes: Sequence[Change], manifest: Manifest, leaf_index: int | None
) -> dict[str, Any]:
    """Return a batch with its history and its manifest's digests."""
    history = [
        {
            "version": change.version,
            "state": change.state,
            "actor_kind": change.actor_kind,
            "reason": change.reason,
            "changed_at": change.recorded_at,
        }
        for change in changes
    ]
    return {
        **batch_view(batch),
        "history": history,
        "manifest": _manifest(batch, manifest, leaf_index),
    }


def _manifest(batch: Batch, manifest: Manifest, leaf_index: int | None) -> dict[str, Any]:
    previous = manifest.previous_sha256
    return {
        "chain_no": manifest.no,
        "sha256": manifest.sha256.hex(),
        "previous_sha256": previous.hex() if previous else None,
        "file_sha256": manifest.file_sha256.hex(),
        "log_entry": {
            "event_id": batch.id.hex,
            "kind": "settlement_manifest",
            "content": manifest.content,
            "salt": manifest.salt.hex(),
            "recorded_at": manifest.recorded_at,
            "commitment": manifest.commitment.hex(),
            "leaf_index": leaf_index,
        },
    }
