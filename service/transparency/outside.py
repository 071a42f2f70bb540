"""What is kept outside PostgreSQL, so that a restored database cannot tell another story.

Two files in a folder that is best on another disk: `checkpoint`, the last signed head, which every
further head must continue; and `erasures`, the ids of the citizens who were erased, who must stay
so. Both are on the disk before anybody is told.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from service import durable_files
from service.transparency.errors import OutsideUnusable

ID_LENGTH = 36


class Outside:
    """The folder of what is kept outside; made on first use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint"

    @property
    def _erasures(self) -> Path:
        return self.folder / "erasures"

    def checkpoint(self) -> str | None:
        """Return the last signed head as it was kept; None: nothing was ever signed."""
        with self._usable():
            return self._checkpoint.read_text() if self._checkpoint.exists() else None

    def keep_checkpoint(self, checkpoint: str, *, instead_of: str | None) -> None:
        """Put a new signed head in the place of the one that it was made to continue.

        Raises:
            OutsideUnusable: another head is there by now, so another sealer works.
        """
        with self._usable(), self._alone():
            present = self._checkpoint.read_text() if self._checkpoint.exists() else None
            if present != instead_of:
                raise OutsideUnusable("Another sealer has signed a head in the meantime.")
            durable_files.replace(self._checkpoint, checkpoint)

    def keep_erasure(self, citizen_id: UUID) -> None:
        """Write down that a citizen is being erased."""
        with self._usable():
            durable_files.append(self._erasures, str(citizen_id))

    def erased(self) -> list[UUID]:
        """Return everybody who was erased, the earliest first."""
        with self._usable():
            if not self._erasures.exists():
                return []
            lines = dict.fromkeys(self._erasures.read_text().splitlines())
            # A shorter one was cut by a crash, and the erasure was not answered.
            return [UUID(line) for line in lines if len(line) == ID_LENGTH]

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            yield
        except (OSError, ValueError) as error:
            raise OutsideUnusable(
                "The folder {folder} cannot be read or written.", folder=str(self.folder)
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep other processes of this machine from changing the head in the meantime."""
        lock = os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)
