"""`carbon run` as its user meets it: it serves, survives, and ends without a trace."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from service.supervisor import (
    CRASH_LOOP_S,
    LONGEST_RESTART_DELAY_S,
    Child,
    RestartDelay,
    ServiceFailedError,
    check_port,
)

ROOT = Path(__file__).resolve().parents[1]
LONGEST_START_S = 60.0
CLIENTS_KEEP_S = 5.0
"""How long httpx, and not it alone, keeps a silent connection for its next request."""

# The real server, engines and migrations; companions that only live.
RUN = """
import sys
from service.migrate import migrate
from service.settings import settings_from
from service.supervisor import serve

serve(
    settings_from(),
    prepare=lambda settings: migrate(settings.migration_database_url),
    companions={
        name: [sys.executable, "-c", "import sys, time; print(sys.argv[1], flush=True);"
               " time.sleep(600)", f"{name} up"]
        for name in ("worker", "sealer")
    },
)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("supervised") / "home"


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(home: Path, port: int, log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A service in a process group of its own, as a shell starts it, once it is ready."""
    environment = {**os.environ, "CARBON_HOME": str(home), "PORT": str(port)}
    for name in ("DATABASE_URL", "REDIS_URL"):
        environment.pop(name, None)
    with log.open("wb") as output:
        command = [sys.executable, "-c", RUN]
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=output, process_group=0
        )
    try:
        wait_until(lambda: "Serving on" in log.read_text() or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LONGEST_START_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def processes_of(home: Path) -> list[str]:
    """The command lines of living processes that name the home or got it as CARBON_HOME."""
    return [line for line in map(_words, Path("/proc").glob("[0-9]*")) if str(home) in line]


def _words(process: Path) -> str:
    try:
        told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    except OSError:
        return ""
    return told.replace(b"\0", b" ").decode(errors="replace")


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def status_of(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


class TestRunningTheService:
    def test_serves_until_ctrl_c_and_leaves_nothing_running(
        self, home: Path, port: int, tmp_path: Path
    ) -> None:
        log = tmp_path / "log"
        with serving(home, port, log) as service:
            status = status_of(port, "/livez")
            os.killpg(service.pid, signal.SIGINT)
            os.killpg(service.pid, signal.SIGINT)
            ended = service.wait(30)

        assert status == 200
        assert ended == 0
        assert processes_of(home) == []
        assert "Traceback" not in log.read_text()

    def test_keeps_a_silent_connection_longer_than_clients_do(
        self, home: Path, port: int, tmp_path: Path
    ) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        with serving(home, port, tmp_path / "log"), closing(connection):
            for silence_s in (0, CLIENTS_KEEP_S + 1):
                time.sleep(silence_s)
                connection.request("GET", "/livez")
                assert connection.getresponse().read()

    def test_starts_again_what_was_killed(self, home: Path, port: int, tmp_path: Path) -> None:
        log = tmp_path / "log"
        with serving(home, port, log) as service:
            for child in children_of(service.pid):
                os.kill(child, signal.SIGKILL)
            wait_until(lambda: log.read_text().count("worker up") == 2)
            wait_until(lambda: log.read_text().count("sealer up") == 2)
            wait_until(lambda: is_answered(port))
            service.terminate()
            service.wait(30)

        assert processes_of(home) == []

    def test_starts_a_killed_database_again(self, home: Path, port: int, tmp_path: Path) -> None:
        with serving(home, port, tmp_path / "log") as service:
            postmaster = int((home / "postgres" / "postmaster.pid").read_text().split()[0])
            os.kill(postmaster, signal.SIGKILL)
            wait_until(lambda: status_of(port, "/readyz") != 200)
            wait_until(lambda: status_of(port, "/readyz") == 200)
            service.terminate()
            service.wait(30)

        assert processes_of(home) == []

    def test_killed_itself_takes_the_server_and_its_companions_along(
        self, home: Path, port: int, tmp_path: Path
    ) -> None:
        with serving(home, port, tmp_path / "log") as service:
            children = children_of(service.pid)
            service.kill()
            service.wait()
            wait_until(lambda: not any(map(is_alive, children)))

        with serving(home, port, tmp_path / "log again") as service:
            service.terminate()
            service.wait(30)
        assert processes_of(home) == []


class TestStartingAChildAgain:
    def test_is_done_at_once(self) -> None:
        child = Child("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], {})
        child.start()
        child.kill()
        wait_until(child.is_down)
        child.keep_up()
        is_up = not child.is_down()
        child.wait(time.monotonic())

        assert is_up

    def test_is_done_at_once_however_often_it_was_killed(self) -> None:
        delay = RestartDelay()

        assert [delay.after(2 * CRASH_LOOP_S) for _ in range(20)] == [0.0] * 20

    def test_waits_longer_and_longer_in_a_crash_loop(self) -> None:
        delay = RestartDelay()

        waits = [delay.after(CRASH_LOOP_S / 2) for _ in range(11)]

        assert waits[:9] == [0.0, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6]
        assert waits[9:] == [LONGEST_RESTART_DELAY_S] * 2

    def test_forgets_a_crash_loop_that_is_over(self) -> None:
        delay = RestartDelay()
        for _ in range(5):
            delay.after(0.0)

        waits = [delay.after(lived_s) for lived_s in (CRASH_LOOP_S, 0.0, 0.0)]

        assert waits == [0.0, 0.2, 0.4]


def is_answered(port: int) -> bool:
    try:
        return status_of(port, "/livez") == 200
    except OSError:
        return False


def is_alive(pid: int) -> bool:
    return _words(Path(f"/proc/{pid}")) != ""


def test_a_taken_port_is_refused_with_a_sentence(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)), pytest.raises(ServiceFailedError) as refusal:
        check_port(port)

    assert f"Port {port} cannot be used" in refusal.value.message
