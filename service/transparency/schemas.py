"""The log in JSON."""

from marshmallow import Schema, fields, validate

from service.transparency.notes import LARGEST_SIZE
from service.transparency.proof_files import CONSISTENCY_PROOF, TRANSFER_PROOF
from service.web.query_values import WholeNumber

HASHES = {"description": "SHA-256 hashes in base64, in the order of RFC 9162."}


class ConsistencyQuery(Schema):
    """Which tree continues which."""

    old_size = WholeNumber(
        required=True,
        data_key="from",
        validate=validate.Range(min=1, max=LARGEST_SIZE),
        metadata={"description": "Leaves of the older tree."},
    )
    size = WholeNumber(
        data_key="to",
        load_default=None,
        validate=validate.Range(min=1, max=LARGEST_SIZE),
        metadata={"description": "Leaves of the newer tree; without it, of the published one."},
    )


class InclusionQuery(Schema):
    """Which leaf is in which tree."""

    leaf_index = WholeNumber(required=True, validate=validate.Range(min=0, max=LARGEST_SIZE))
    tree_size = WholeNumber(
        load_default=None,
        validate=validate.Range(min=1, max=LARGEST_SIZE),
        metadata={"description": "Leaves of the tree; without it, of the published one."},
    )


class ConsistencyProofView(Schema):
    """That one tree continues another: for `carbon log verify-consistency`, or any verifier."""

    format = fields.String(required=True, metadata={"example": CONSISTENCY_PROOF})
    old_size = fields.Integer(required=True)
    size = fields.Integer(required=True)
    consistency_path = fields.List(fields.String(), required=True, metadata=HASHES)


class InclusionProofView(Schema):
    """That a leaf is in a tree."""

    leaf_index = fields.Integer(required=True)
    tree_size = fields.Integer(required=True)
    leaf_hash = fields.String(required=True, metadata={"description": "In base64."})
    inclusion_path = fields.List(fields.String(), required=True, metadata=HASHES)


class LogKeyView(Schema):
    """A public key of the log."""

    vkey = fields.String(required=True, metadata={"description": "Name, id and key (C2SP)."})
    added_at = fields.AwareDateTime(required=True)
    retired_at = fields.AwareDateTime(
        required=True, allow_none=True, metadata={"description": "It signs no more since then."}
    )


class LogKeysView(Schema):
    """The keys that sign heads, and those that did."""

    items = fields.List(fields.Nested(LogKeyView), required=True)


class TransferProofView(Schema):
    """A proof file: keep it, and check it offline with `carbon log verify`."""

    format = fields.String(required=True, metadata={"example": TRANSFER_PROOF})
    transfer = fields.Dict(required=True, metadata={"description": "What was committed to."})
    salt = fields.String(
        required=True, metadata={"description": "Opens this transfer's commitment and no other."}
    )
    leaf_index = fields.Integer(required=True)
    tree_size = fields.Integer(required=True)
    inclusion_path = fields.List(fields.String(), required=True, metadata=HASHES)
    checkpoint = fields.String(required=True, metadata={"description": "The signed note (C2SP)."})
    tlog_proof = fields.String(
        required=True, metadata={"description": "The same for other people's tools (C2SP)."}
    )
