"""What the log, and whoever checks one of its proofs, refuses."""

from service.errors import Conflict, Invalid, NotFound, Unavailable


class ProofInvalid(Invalid):
    """The proof does not prove what it says."""

    code = "proof-invalid"


class ProofMalformed(ProofInvalid):
    """This is not a proof file."""

    code = "proof-malformed"


class NoteMalformed(ProofInvalid):
    """This is not a signed note with a checkpoint."""

    code = "note-malformed"


class NoteNotSigned(ProofInvalid):
    """No key that was given has signed this checkpoint."""

    code = "note-not-signed"


class NoteSignatureWrong(ProofInvalid):
    """A signature under this checkpoint is not its key's."""

    code = "note-signature-wrong"


class InclusionNotProved(ProofInvalid):
    """The path does not lead from the leaf to the root."""

    code = "inclusion-not-proved"


class ConsistencyNotProved(ProofInvalid):
    """The path does not show that one tree continues the other."""

    code = "consistency-not-proved"


class CheckpointDiffers(ProofInvalid):
    """The proof and its checkpoint speak of different trees."""

    code = "checkpoint-differs"


class LogKeyMalformed(Invalid):
    """This is not the public key of a log."""

    code = "log-key-malformed"


class OutsideTree(Invalid):
    """The log has no tree of that size, or the tree no leaf at that place."""

    code = "outside-tree"


class TileUnknown(NotFound):
    """The log has no such tile."""

    code = "tile-unknown"


class TileUnusable(Unavailable):
    """A tile of the log holds fewer hashes than it must."""

    code = "tile-unusable"


class OutsideUnusable(Unavailable):
    """What is kept outside the database cannot be read or written."""

    code = "outside-unusable"


class LastLogKey(Conflict):
    """The log needs a key that signs."""

    code = "last-log-key"


class LogKeyUnknown(Conflict):
    """The log has no such key that signs."""

    code = "log-key-unknown"


class TransactionsWentBack(Unavailable):
    """The database numbers its transactions anew, so the log cannot tell what is new."""

    code = "transactions-went-back"


class NodeBehind(Unavailable):
    """A node of the database has not yet carried out what was decided."""

    code = "node-behind"


class HistoryDiffers(Unavailable):
    """The log in the database does not continue the head that was signed last."""

    code = "history-differs"


class LogRenamed(Unavailable):
    """The log has another name than the setting says."""

    code = "log-renamed"


class LogKeysMissing(Unavailable):
    """The keys that have signed the log are not here."""

    code = "log-keys-missing"


class LogEmpty(NotFound):
    """Nothing has been published in the log yet."""

    code = "log-empty"


class TransferNotSealed(Conflict):
    """The log has not yet got to this transfer."""

    code = "transfer-not-sealed"
