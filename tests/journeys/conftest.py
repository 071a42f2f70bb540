"""The service as its users have it: `carbon run` in its own process, spoken to from outside."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_START_S = 60.0
LONGEST_STOP_S = 30.0

CARBON = f"""#!{sys.executable}
import sys
sys.path.insert(0, {str(ROOT)!r})
from service.cli import main
main()
"""
"""The `carbon` of this checkout, installed or not."""


@dataclass(frozen=True)
class Installation:
    """A `carbon` with a home and a port of its own."""

    folder: Path
    port: int

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def run(self, *words: object) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end."""
        command = [self._program(), *map(str, words)]
        return subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, check=False
        )

    @contextmanager
    def serving(self) -> Iterator["subprocess.Popen[bytes]"]:
        """Keep `carbon run` up for the block, and interrupt it at the end at the latest."""
        log = self.folder / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self._program(), "run"],
                env=self._environment(),
                stdout=output,
                stderr=output,
                process_group=0,
            )
        try:
            deadline = time.monotonic() + LONGEST_START_S
            while "Serving on" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            yield process
        finally:
            if process.poll() is None:
                interrupt(process)
            log.write_text("")

    def processes(self) -> list[str]:
        """The command lines of living processes that belong to this installation."""
        told = map(_words, Path("/proc").glob("[0-9]*"))
        return [line for line in told if str(self.folder) in line]

    def _program(self) -> str:
        program = self.folder / "carbon"
        if not program.exists():
            program.write_text(CARBON)
            program.chmod(0o700)
        return str(program)

    def _environment(self) -> dict[str, str]:
        ours = {"CARBON_HOME": str(self.home), "PORT": str(self.port)}
        given = ("DATABASE_URL", "REDIS_URL", "CARBON_ISSUER", "CARBON_SMS", "CARBON_REGION")
        return {**{k: v for k, v in os.environ.items() if k not in given}, **ours}


def interrupt(process: "subprocess.Popen[bytes]") -> int:
    """Press Ctrl-C and return the status with which the service ends."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.wait(LONGEST_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def _words(process: Path) -> str:
    try:
        told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except OSError:
        return ""
    return told.replace(b"\0", b" ").decode(errors="replace")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Installation:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    return Installation(tmp_path_factory.mktemp("installed"), port)


def code_sent(home: Path, request_id: str) -> str:
    """The one-time code that a developer finds in the file of messages."""
    messages = map(json.loads, (home / "sms.jsonl").read_text().splitlines())
    return next(str(m["code"]) for m in messages if m["request_id"] == request_id)
