"""Small files that must outlive a crash: whole or not at all, and on the disk when we say so."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def write_once(path: Path, text: str) -> None:
    """Put a whole file in place, for its owner's eyes, unless another process was first."""
    with _draft(path, text) as draft:
        # A link, unlike a rename, does not replace: two processes end up with the same file.
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
        sync_folder(path.parent)


def replace(path: Path, text: str) -> None:
    """Put a whole file, for its owner's eyes, in the place of another or of none."""
    with _draft(path, text) as draft:
        draft.replace(path)
        sync_folder(path.parent)


def append(path: Path, line: str) -> None:
    """Write one line behind the others, for its owner's eyes, and wait for the disk.

    Empty lines are to be passed over, and so is a last one without its end, which a crash left.
    """
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        # One call, so that two processes' lines stay whole, and never behind half a line.
        os.write(descriptor, f"\n{line}\n".encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    if is_new:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    """Lend the text as a file of another name in the same folder."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".")  # 0600 from the start
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)
