"""`carbon run`: the engines, the HTTP server and its companions, kept up and ended together."""

import fcntl
import http.client
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import click

from service.embedded import reachable, say
from service.embedded.processes import EngineError, command_dying_with_us
from service.settings import Settings

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[1]
# A forked worker has its parent's signal handlers while it loads the application, and would forget
# a request to stop that comes then; a spawned one ends.
GRANIAN = (
    "import multiprocessing; multiprocessing.set_start_method('spawn');"
    "from granian.cli import entrypoint; entrypoint()"
)
TICK_S = 0.2
ENGINES_LOOK_S = 2.0
NOT_READY_REPORT_S = 15.0
# A request may take 5 s and a job 30 s; who has not ended by then is killed, and loses nothing,
# because what was not committed was not answered.
GRACEFUL_STOP_S = 15.0
# It ends silent connections too. What a client sends on one that is just being closed is lost: so
# it is the client who closes first, most after 5 to 30 s. This is the most that Granian takes.
HEADER_TIMEOUT_MS = 60_000
# A child that dies so soon after its start has a fault of its own: starting it again will not help.
CRASH_LOOP_S = 5.0
FIRST_RESTART_DELAY_S = 0.2
LONGEST_RESTART_DELAY_S = 30.0


class ServiceFailedError(click.ClickException):
    """The service cannot be started; the message says why, and the command ends with status 1."""


def serve(
    settings: Settings,
    *,
    prepare: Callable[[Settings], None],
    companions: Mapping[str, Sequence[str | Path]],
) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP, then leave nothing running.

    Args:
        settings: where, and which engines are given; the others are embedded.
        prepare: brings the reachable database to what the code needs, before anything is served.
        companions: what runs beside the server, by name: command lines that begin with a path.

    Raises:
        ServiceFailedError: the port is taken, or the server does not start.
        EngineError: an embedded engine does not start.
    """
    check_port(settings.port)
    _hold_installation()
    _obey_stop_signals()
    with suppress(KeyboardInterrupt), reachable(settings) as ready:
        prepare(ready)
        with _running(children_of(ready, companions)) as children:
            _watch(children, ready, settings)
    say("Stopped.")


def check_port(port: int) -> None:
    """Refuse a port that somebody else listens on, before anything is started."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise ServiceFailedError(
                f"Port {port} cannot be used ({error.strerror}); choose another: PORT=8001 make run"
            ) from None


def _hold_installation() -> None:
    """Keep `make` from changing the virtual environment while we run from it (see Makefile)."""
    lock = Path(sys.prefix) / ".lock"
    if lock.exists():
        fcntl.flock(os.open(lock, os.O_RDONLY | os.O_CLOEXEC), fcntl.LOCK_SH)


def _obey_stop_signals() -> None:
    """Turn the first request to stop into KeyboardInterrupt and ignore the impatient ones.

    A second one would interrupt the stopping itself and leave something running.
    """
    wanted: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        if not wanted:
            wanted.append(number)
            raise KeyboardInterrupt

    for number in STOP_SIGNALS:
        signal.signal(number, stop)


def _ignore_stop_signals() -> None:
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


class RestartDelay:
    """How long a dead child stays down: not at all, and in a crash loop each time longer."""

    def __init__(self) -> None:
        self._next_s = 0.0

    def after(self, lived_s: float) -> float:
        """Return the seconds to wait before the next start.

        Args:
            lived_s: from the last start to the death, in seconds.
        """
        delay_s = self._next_s if lived_s < CRASH_LOOP_S else 0.0
        self._next_s = min(max(delay_s * 2, FIRST_RESTART_DELAY_S), LONGEST_RESTART_DELAY_S)
        return delay_s


class Child:
    """One process that is started again when it ends; see `RestartDelay`."""

    def __init__(
        self, name: str, command: Sequence[str | Path], environment: dict[str, str]
    ) -> None:
        self.name = name
        self._command = command_dying_with_us(command)
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_at = 0.0
        self._delay = RestartDelay()

    def start(self) -> None:
        """Start it in a session of its own: Ctrl-C is for us, we stop it in order."""
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(  # noqa: S603 - our own commands
            self._command,
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def is_down(self) -> bool:
        """Whether it has ended, or waits to be started again."""
        return self._process is None or self._process.poll() is not None

    def keep_up(self) -> None:
        """Start it again when it has ended."""
        if self._process is not None and self._process.poll() is not None:
            self._bury(self._process)
        if self._process is None and time.monotonic() >= self._start_at:
            self.start()

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        self.kill()
        self._process = None
        now = time.monotonic()
        delay_s = self._delay.after(now - self._started_at)
        self._start_at = now + delay_s
        when = f"in {delay_s:.1f} s" if delay_s else "now"
        say(f"The {self.name} ended (status {process.returncode}); it starts again {when}.")

    def terminate(self) -> None:
        """Ask it to finish what it does and end."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for its end, and kill what is left of it then."""
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(max(0.0, deadline - time.monotonic()))
            self.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it and whatever it started, at once."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


def children_of(settings: Settings, companions: Mapping[str, Sequence[str | Path]]) -> list[Child]:
    """Return the server and its companions, told about the engines by their environment."""
    environment = {
        **os.environ,
        "CARBON_HOME": str(settings.home),
        "CARBON_OUTSIDE": str(settings.outside),
        "PORT": str(settings.port),
        "DATABASE_URL": settings.database_url,
        "MIGRATION_DATABASE_URL": settings.migration_database_url,
        "ERASER_DATABASE_URL": settings.eraser_database_url,
        "REDIS_URL": settings.redis_url,
    }
    return [
        Child("server", server_command(settings), environment),
        *(Child(name, command, environment) for name, command in companions.items()),
    ]


def server_command(settings: Settings) -> list[str]:
    """Return Granian's command line; why Granian, and these choices: docs/decisions/0002."""
    return [
        *(sys.executable, "-c", GRANIAN, "--interface", "wsgi"),
        *("--host", HOST, "--port", str(settings.port), "--no-ws"),
        *("--workers", str(settings.workers), "--blocking-threads", str(settings.threads)),
        *("--respawn-failed-workers", "--respawn-interval", "1"),
        *("--workers-kill-timeout", f"{GRACEFUL_STOP_S - 3:.0f}"),
        *("--http1-header-read-timeout", str(HEADER_TIMEOUT_MS)),
        *("--no-access-log", "--log-level", "error"),
        "wsgi:app",
    ]


@contextmanager
def _running(children: list[Child]) -> Iterator[list[Child]]:
    try:
        for child in children:
            child.start()
        yield children
    finally:
        _ignore_stop_signals()
        say("Stopping …")
        for child in children:
            child.terminate()
        deadline = time.monotonic() + GRACEFUL_STOP_S
        for child in children:
            child.wait(deadline)


def _watch(children: list[Child], settings: Settings, given: Settings) -> None:
    """Keep the children up for ever; say once how to use the service when it answers."""
    _wait_until_ready(children, settings)
    click.echo(welcome(settings))
    next_look = time.monotonic()
    while True:
        time.sleep(TICK_S)
        for child in children:
            child.keep_up()
        if time.monotonic() > next_look:
            _keep_engines_up(given)
            next_look = time.monotonic() + ENGINES_LOOK_S


def _keep_engines_up(given: Settings) -> None:
    """Start an embedded engine again that has died; one that lives is not touched."""
    try:
        with reachable(given):
            pass
    except EngineError as error:
        say(f"An engine has died and does not start: {error}")


def _wait_until_ready(children: list[Child], settings: Settings) -> None:
    server, *companions = children
    next_report = time.monotonic() + NOT_READY_REPORT_S
    while not is_ready(settings.port):
        if server.is_down():
            raise ServiceFailedError("The server ended before it was ready; its words are above.")
        for companion in companions:
            companion.keep_up()
        if time.monotonic() > next_report:
            say("Still waiting for /readyz …")
            next_report += NOT_READY_REPORT_S
        time.sleep(TICK_S)


def is_ready(port: int) -> bool:
    """Whether the service says that it can serve."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def welcome(settings: Settings) -> str:
    """Return what the person who started the service may try next."""
    url, carbon = f"http://{HOST}:{settings.port}", _command_prefix()
    lines = {
        "API, to read and try": f"{url}/docs",
        "One-time codes": f"tail -f {shlex.quote(str(settings.home / 'sms.jsonl'))}",
        "A simulated month": f"{carbon}make demo",
        "A data source": f"{carbon}.venv/bin/carbon partner add --name metro --role source"
        " --jwks FILE",
        "To stop": "Ctrl-C",
    }
    rows = [f"  {what + ':':<22}{how}" for what, how in lines.items()]
    return "\n".join(["", f"Serving on {url}", *rows, ""])


def _command_prefix() -> str:
    """Return what a command at another terminal needs to mean this service."""
    words = [f"{name}={os.environ[name]}" for name in ("CARBON_HOME", "PORT") if name in os.environ]
    return "".join(f"{shlex.quote(word)} " for word in words)
