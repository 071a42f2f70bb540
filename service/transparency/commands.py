"""`carbon log`: checking proofs with a file and a public key, without a service or a database."""

from pathlib import Path

import click

from service.transparency.errors import CheckpointDiffers, NoteMalformed
from service.transparency.notes import LONGEST_NOTE, Checkpoint, Verifier, open_checkpoint
from service.transparency.proof_files import (
    LONGEST_FILE,
    VerifiedProof,
    verify_consistency_file,
    verify_proof_file,
)

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

with_keys = click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="VKEY",
    help="The log's public key, name+id+key, as the log publishes it; may be given again.",
)


@click.group("log")
def log_group() -> None:
    """The public log of every transfer."""


@log_group.command("verify")
@click.argument("file", type=FILE)
@with_keys
@click.option(
    "--checkpoint",
    "known",
    type=FILE,
    help="A head of the same size that was kept elsewhere, which must be the same.",
)
def verify_command(file: Path, keys: tuple[str, ...], known: Path | None) -> None:
    """Check with nothing but a key that the transfer in a proof file is in the log."""
    verifiers = [Verifier.parse(key) for key in keys]
    proof = verify_proof_file(_start_of(file, LONGEST_FILE), verifiers)
    if known is not None:
        _refuse_another_head(_checkpoint_in(known, verifiers), proof.checkpoint)
    for line in _sentences(proof):
        click.echo(line)


@log_group.command("verify-consistency")
@click.argument("old", type=FILE)
@click.argument("new", type=FILE)
@click.argument("proof", type=FILE)
@with_keys
def verify_consistency_command(old: Path, new: Path, proof: Path, keys: tuple[str, ...]) -> None:
    """Check that the log of checkpoint NEW continues that of checkpoint OLD."""
    verifiers = [Verifier.parse(key) for key in keys]
    before, after = (_checkpoint_in(file, verifiers) for file in (old, new))
    verify_consistency_file(_start_of(proof, LONGEST_FILE), before, after)
    click.echo(
        f"Proved: the log {after.origin} with {after.size} entries begins with"
        f" the {before.size} that it had before; none was changed, moved or taken out."
    )


def _sentences(proof: VerifiedProof) -> list[str]:
    transfer, checkpoint = proof.transfer.document(), proof.checkpoint
    return [
        f"Proved: transfer {transfer['id']} is entry {proof.leaf_index} of {checkpoint.origin},",
        f"a log whose head over {checkpoint.size} entries is signed with the key you gave.",
        *(f"  {name}: {value}" for name, value in transfer.items() if value is not None),
    ]


def _refuse_another_head(known: Checkpoint, proved: Checkpoint) -> None:
    if known.origin != proved.origin:
        raise CheckpointDiffers("That head is of another log than the proof's.")
    if known.size != proved.size:
        raise CheckpointDiffers(
            "That head is over {known} entries and the proof's over {proved}."
            " Join them with: carbon log verify-consistency.",
            known=known.size,
            proved=proved.size,
        )
    if known != proved:
        raise CheckpointDiffers("The log has signed two different heads over as many entries.")


def _checkpoint_in(file: Path, verifiers: list[Verifier]) -> Checkpoint:
    try:
        return open_checkpoint(_start_of(file, LONGEST_NOTE).decode(), verifiers)
    except UnicodeDecodeError as error:
        raise NoteMalformed("A signed note is UTF-8 text.") from error


def _start_of(file: Path, longest: int) -> bytes:
    """Return a file's bytes; of one that is too long, enough to see that it is."""
    with file.open("rb") as opened:
        return opened.read(longest + 1)
