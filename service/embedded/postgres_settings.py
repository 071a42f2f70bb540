"""The settings of the embedded PostgreSQL, each with its reason.

They are written to `postgresql.conf` at every start, reasons included. An operator's own wishes
belong into `ALTER SYSTEM`, which overrides them. Figures and choices: docs/decisions/0002.
"""

import os
import shutil
from pathlib import Path

MIB = 1024 * 1024
GIB = 1024 * MIB
LARGE_MEMORY_BYTES = 16 * GIB
# A checkpoint may hold twice the target for a moment; the data needs room as well.
DISK_PER_WAL = 4
CGROUP_MEMORY_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)

Setting = tuple[str, str, str]

ALWAYS: tuple[Setting, ...] = (
    ("fsync", "on", "a certified gram survives a power cut; never off"),
    ("full_page_writes", "on", "a page torn by a power cut is repaired; never off"),
    ("synchronous_commit", "on", "what was answered is on the disk; never off"),
    ("listen_addresses", "''", "only the unix socket, in a private folder"),
    ("port", "5432", "names the socket; several homes have a folder each"),
    ("unix_socket_permissions", "0700", "a second lock behind the folder's"),
    ("max_connections", "100", "2 servers x 8 threads x 2 pools, the worker, commands; spare"),
    ("checkpoint_timeout", "15min", "each page is written whole once per checkpoint: fewer, less"),
    ("checkpoint_completion_target", "0.9", "spreads a checkpoint's writes, so that p99 holds"),
    ("idle_in_transaction_session_timeout", "30s", "a forgotten transaction stops vacuum and log"),
    ("deadlock_timeout", "200ms", "a deadlock is found, and retried, within a request's time"),
    ("jit", "off", "our statements are short; compiling them costs more than it saves"),
    ("huge_pages", "try", "fewer page-table misses where the machine offers them"),
    ("password_encryption", "scram-sha-256", "should a role ever get a password"),
    ("timezone", "UTC", "times are stored in UTC; the day is decided in service/clock.py"),
    ("log_timezone", "UTC", "one clock in all logs"),
    ("log_lock_waits", "on", "who waited for whom is the first question after a slow minute"),
    ("log_error_verbosity", "terse", "an error's DETAIL quotes rows: personal data"),
    ("log_line_prefix", "'%m [%p] %u@%d '", "when, which process, which role"),
)


def settings_text(folder: Path, sockets: Path, *, small: bool, compression: str) -> str:
    """Return the content of `postgresql.conf` for the machine we run on.

    Args:
        folder: on the disk that will hold the data.
        sockets: the private folder of the socket.
        small: a test's cluster: little memory and little WAL, but the same durability.
        compression: `lz4` or `off`, as the binaries can.
    """
    settings = (
        *ALWAYS,
        ("unix_socket_directories", _quoted(sockets), "inside CARBON_HOME, or a short folder"),
        ("wal_compression", compression, "lz4 halves full pages at little cost, if built in"),
        *(_memory_settings(128 * MIB) if small else _memory_settings(_shared_buffers_bytes())),
        *_wal_settings(1 * GIB if small else _max_wal_bytes(folder)),
    )
    lines = [f"{name} = {value}  # {reason}" for name, value, reason in settings]
    head = "# Written at every start by service/embedded; use ALTER SYSTEM for your own wishes."
    return "\n".join([head, *lines, ""])


def _memory_settings(shared_buffers_bytes: int) -> tuple[Setting, ...]:
    memory = _megabytes(max(memory_bytes() * 5 // 8, shared_buffers_bytes))
    return (
        (
            "shared_buffers",
            _megabytes(shared_buffers_bytes),
            "the hot index pages of some million rows stay here",
        ),
        ("effective_cache_size", memory, "what the system caches besides; for the planner"),
        ("wal_buffers", "16MB", "a batch of 10,000 lines fits before it must be written"),
    )


def _wal_settings(max_wal_bytes: int) -> tuple[Setting, ...]:
    return (
        ("max_wal_size", _megabytes(max_wal_bytes), "checkpoints come by time, not by volume"),
        ("min_wal_size", _megabytes(max_wal_bytes // 8), "segments are reused, not created"),
    )


def _shared_buffers_bytes() -> int:
    memory = memory_bytes()
    return 2 * GIB if memory >= LARGE_MEMORY_BYTES else max(memory // 8, 128 * MIB)


def _max_wal_bytes(folder: Path) -> int:
    free = shutil.disk_usage(folder).free
    fitting = (size for size in (16 * GIB, 4 * GIB) if free >= DISK_PER_WAL * size)
    return next(fitting, 1 * GIB)


def memory_bytes() -> int:
    """Return the memory we may use: the machine's, or less where a container limits it."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_container_limits()])


def _container_limits() -> list[int]:
    texts = [path.read_text().strip() for path in CGROUP_MEMORY_LIMITS if path.exists()]
    return [int(text) for text in texts if text.isdigit()]


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes // MIB}MB"


def _quoted(path: Path) -> str:
    # A list of folders: each in double quotes, all of it in single ones.
    doubled = str(path).replace('"', '""').replace("'", "''")
    return f"""'"{doubled}"'"""
