"""What the log, and whoever checks one of its proofs, refuses."""

from service.errors import Invalid, NotFound, Unavailable


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
