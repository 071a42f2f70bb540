"""Starting and looking at the processes of the embedded engines."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

LAUNCHER = Path(__file__).with_name("launch.py")

# What the engines inherit: nothing of the caller's PG* variables, locale or working folder.
CLEAN_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


class EngineError(click.ClickException):
    """An embedded engine could not be started or stopped; the message says what to do.

    A command shows the message and ends with status 1.
    """


@dataclass(frozen=True)
class EngineUser:
    """The operating-system user that owns the engines' files and runs them."""

    uid: int
    gid: int


def command_as(user: EngineUser, command: Sequence[str | Path]) -> list[str]:
    """Return the command line that runs `command` as `user`."""
    if user.uid == os.geteuid():
        return [str(word) for word in command]
    return _launched(f"--user={user.uid}:{user.gid}", command)


def command_dying_with_us(command: Sequence[str | Path]) -> list[str]:
    """Return the command line that runs `command` and ends it (SIGTERM) when we die."""
    return _launched(f"--die-with-parent={os.getpid()}", command)


def _launched(option: str, command: Sequence[str | Path]) -> list[str]:
    words = [str(word) for word in command]
    return [sys.executable, "-I", "-S", str(LAUNCHER), option, "--", *words]


def start_as(user: EngineUser, command: Sequence[str | Path]) -> subprocess.Popen[str]:
    """Start `command` as `user`, in a session of its own so that Ctrl-C does not reach it."""
    return subprocess.Popen(  # noqa: S603 - our own binaries and paths
        command_as(user, command),
        cwd="/",
        env=CLEAN_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_as(user: EngineUser, command: Sequence[str | Path]) -> None:
    """Run `command` as `user` to its end.

    Raises:
        EngineError: it failed; with what it said.
    """
    with start_as(user, command) as process:
        _, complaint = process.communicate()
    if process.returncode != 0:
        raise EngineError(f"{Path(command[0]).name} failed: {complaint.strip()}")


def is_alive(pid: int) -> bool:
    """Whether a process runs under that number; one that ended and was not reaped does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return command_line(pid) != ""


def command_line(pid: int) -> str | None:
    """Return the words a process was started with; None where the system does not tell."""
    if not Path("/proc/self/cmdline").exists():
        return None
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return os.fsdecode(words.replace(b"\0", b" "))
