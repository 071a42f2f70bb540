"""The log, over HTTP: what everybody may read, and a citizen's proofs."""

from base64 import b64encode
from typing import Any

from flask import Response

from service.ids import TRANSFER, uuid_of
from service.transparency.key_events import logged_keys
from service.transparency.proof_files import consistency_document
from service.transparency.proving import proof_of
from service.transparency.published import published_head, published_tree, read_tile
from service.transparency.schemas import (
    ConsistencyProofView,
    ConsistencyQuery,
    InclusionProofView,
    InclusionQuery,
    LogKeysView,
    TransferProofView,
)
from service.transparency.tiles import TileName
from service.web.access import current_caller, requires
from service.web.blueprint import Blueprint
from service.web.context import raw_transaction

blueprint = Blueprint(
    "transparency", __name__, url_prefix="/v1", description="The public log, and proofs from it"
)

FOR_EVER = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"


@blueprint.get("/log/checkpoint")
@requires("anyone")
@blueprint.response(
    200, content_type="text/plain; charset=utf-8", description="A signed note (C2SP)"
)
@blueprint.refusals(404, "log-empty")
def read_checkpoint() -> Response:
    """Return the newest signed head of the log (C2SP tlog-checkpoint)."""
    with raw_transaction() as connection:
        head = published_head(connection)
    return Response(head.checkpoint, mimetype="text/plain", headers={"Cache-Control": ASK_AGAIN})


@blueprint.get("/log/tile/<path:name>")
@requires("anyone")
@blueprint.response(200, content_type="application/octet-stream", description="Hashes, or entries")
@blueprint.refusals(404, "tile-unknown", "log-empty")
def read_named_tile(name: str) -> Response:
    """Return a tile `<L>/<N>[.p/<W>]` or a bundle `entries/<N>[.p/<W>]` (C2SP tlog-tiles)."""
    with raw_transaction() as connection:
        tile = read_tile(connection, TileName.parse(f"tile/{name}"))
    return Response(tile, mimetype="application/octet-stream", headers={"Cache-Control": FOR_EVER})


@blueprint.get("/log/keys")
@requires("anyone")
@blueprint.response(200, LogKeysView)
def list_keys() -> dict[str, Any]:
    """Return the log's public keys: those that sign, and those that did."""
    with raw_transaction() as connection:
        keys = logged_keys(connection)
    return {"items": [key._asdict() for key in keys]}


@blueprint.get("/log/proofs/consistency")
@requires("anyone")
@blueprint.arguments(ConsistencyQuery, location="query")
@blueprint.response(200, ConsistencyProofView)
@blueprint.refusals(404, "log-empty")
@blueprint.refusals(422, "outside-tree", "validation-failed")
def prove_consistency(query: dict[str, int | None]) -> dict[str, Any]:
    """Prove that the log's tree of one size continues that of a smaller one."""
    with raw_transaction() as connection:
        old_size = query["old_size"] or 1
        tree = published_tree(connection, near=old_size - 1)
        size = query["size"] or tree.size
        path = tree.consistency_path(old_size, size)
    return consistency_document(old_size, size, path)


@blueprint.get("/log/proofs/inclusion")
@requires("anyone")
@blueprint.arguments(InclusionQuery, location="query")
@blueprint.response(200, InclusionProofView)
@blueprint.refusals(404, "log-empty")
@blueprint.refusals(422, "outside-tree", "validation-failed")
def prove_inclusion(query: dict[str, int | None]) -> dict[str, Any]:
    """Prove that a leaf is in the log's tree of a size."""
    with raw_transaction() as connection:
        leaf_index = query["leaf_index"] or 0
        tree = published_tree(connection, near=leaf_index)
        size = query["tree_size"] or tree.size
        path = tree.inclusion_path(leaf_index, size)
        leaf = tree.leaf(leaf_index)
    return {
        "leaf_index": leaf_index,
        "tree_size": size,
        "leaf_hash": b64encode(leaf).decode(),
        "inclusion_path": [b64encode(each).decode() for each in path],
    }


@blueprint.get("/transfers/<transfer_id>/proof")
@requires("citizen")
@blueprint.response(200, TransferProofView)
@blueprint.refusals(404, "id-unknown")
@blueprint.refusals(409, "transfer-not-sealed")
def prove_transfer(transfer_id: str) -> dict[str, Any]:
    """Return the proof file of one of the caller's transfers, against the newest head."""
    with raw_transaction() as connection:
        return proof_of(connection, current_caller().id, uuid_of(TRANSFER, transfer_id))
