"""Becomes another program after giving up root, or after tying its life to its parent's.

Run as a script, with the standard library only, between the fork and the program:

    python -I -S launch.py [--user=UID:GID] [--die-with-parent=PID] -- PROGRAM [WORD…]

PostgreSQL refuses to run as root, and the folders above CARBON_HOME or above the virtual
environment may be closed to everyone else. Opening them would weaken the machine, so the program
keeps one capability instead: to pass through and read folders (CAP_DAC_READ_SEARCH). Where a
container took that one away from root, CAP_DAC_OVERRIDE, which includes it, is kept.
"""

import ctypes
import os
import signal
import sys

# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_SET_SECUREBITS = 28
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
# linux/securebits.h
SECBIT_NO_SETUID_FIXUP = 1 << 2
# linux/capability.h
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2


class CapabilityHeader(ctypes.Structure):
    """`struct __user_cap_header_struct`; pid 0 is the caller."""

    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class CapabilityData(ctypes.Structure):
    """`struct __user_cap_data_struct`: 32 capabilities as three bit sets."""

    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


HEADER = CapabilityHeader(CAPABILITY_VERSION_3, 0)


def _call(function: str, *arguments: object) -> None:
    """Call a function of the C library that answers 0 when it succeeds."""
    if getattr(ctypes.CDLL(None, use_errno=True), function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}{arguments}: {os.strerror(number)}")


def _prctl(option: int, *arguments: int) -> None:
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _call("prctl", ctypes.c_int(option), *values)


def _passing_capability() -> int | None:
    """Return the least capability root has that passes closed folders; None without any."""
    held = (CapabilityData * 2)()
    _call("capget", ctypes.byref(HEADER), held)
    permitted = int(held[0].permitted)
    usable = (c for c in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE) if permitted & (1 << c))
    return next(usable, None)


def become(uid: int, gid: int) -> None:
    """Give up root for a user, keeping only the capability to pass closed folders."""
    capability = _passing_capability()
    # Capabilities outlast the change of user, and access(2), with which PostgreSQL looks for its
    # own programs, heeds them.
    _prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    os.setgroups([gid])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    _keep_only(capability)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)


def _keep_only(capability: int | None) -> None:
    bits = 0 if capability is None else 1 << capability
    kept = (CapabilityData * 2)()
    kept[0] = CapabilityData(bits, bits, bits)
    _call("capset", ctypes.byref(HEADER), kept)
    if capability is not None:
        # Ambient, so that it survives becoming the program.
        _prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability)


def die_with_parent(parent_pid: int) -> None:
    """Ask the system for SIGTERM when the parent dies, however it dies."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:  # it died before we could ask
        sys.exit(0)


def main(words: list[str]) -> None:
    """Prepare as the options say, then become the program."""
    split = words.index("--")
    options = dict(word.split("=", 1) for word in words[:split])
    program = words[split + 1 :]
    if "--user" in options:
        uid, gid = options["--user"].split(":")
        become(int(uid), int(gid))
    if "--die-with-parent" in options:
        # After the change of user, which would have cleared it.
        die_with_parent(int(options["--die-with-parent"]))
    os.execv(program[0], program)  # noqa: S606 - becoming the program is the purpose


if __name__ == "__main__":
    main(sys.argv[1:])
