"""CARBON_HOME: the private folder that holds the engines' data, sockets and logs."""

import hashlib
import os
import pwd
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path

from service.embedded.processes import EngineError, EngineUser

# sun_path holds 108 bytes on Linux, the closing zero included.
SOCKET_PATH_LIMIT_BYTES = 107
LONGEST_SOCKET_NAME = ".s.PGSQL.5432.lock"
USERS_LOCK = "users.lock"


@dataclass(frozen=True)
class Home:
    """Where the engines of one CARBON_HOME keep their things, and who owns them."""

    path: Path
    user: EngineUser
    sockets: Path

    @property
    def postgres_data(self) -> Path:
        """The PostgreSQL cluster."""
        return self.path / "postgres"

    @property
    def valkey_data(self) -> Path:
        """Valkey's working folder; nothing in it needs to last."""
        return self.path / "valkey"

    @property
    def logs(self) -> Path:
        """What the engines say."""
        return self.path / "log"

    def open_sockets(self) -> None:
        """Make the folder of the sockets; called under the starting lock."""
        make_engine_folder(self.sockets, self.user)

    def close_sockets(self) -> None:
        """Leave nothing outside CARBON_HOME; called under the starting lock."""
        if self.sockets.parent != self.path:
            shutil.rmtree(self.sockets, ignore_errors=True)


def open_home(path: Path) -> Home:
    """Make CARBON_HOME ready: private, with the folders that the engines own.

    Raises:
        EngineError: the folder belongs to somebody else, or holds other things and is open.
    """
    path = path.resolve()
    make_private(path)
    user = engine_user(path / "postgres")
    user_name(user.uid)
    home = Home(path, user, socket_folder(path))
    for folder in (home.valkey_data, home.logs):
        make_engine_folder(folder, user)
    return home


def make_private(path: Path) -> None:
    """Create a folder for its owner's eyes only, or close one that is ours to close."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=0o700, exist_ok=True)
    status = path.stat()
    if os.geteuid() not in (status.st_uid, 0):
        raise EngineError(f"CARBON_HOME {path} belongs to another user; choose another folder.")
    if stat.S_IMODE(status.st_mode) == 0o700:  # noqa: PLR2004 - rwx------
        return
    if any(path.iterdir()) and not (path / USERS_LOCK).exists():
        # It may be /srv or somebody's home folder: closing it is not ours to decide.
        raise EngineError(
            f"CARBON_HOME {path} is open to other users and holds other things; "
            f"choose an empty folder, or close it yourself: chmod 700 {path}"
        )
    path.chmod(0o700)


def engine_user(postgres_data: Path) -> EngineUser:
    """Say who runs the engines: the caller, and for root an unprivileged user.

    An existing cluster is run by its owner. For a new one root lends it to `postgres`, or
    `nobody` where the machine has no such user, because PostgreSQL refuses to run as root.
    """
    if os.geteuid() == 0:
        return _owner(postgres_data) or _unprivileged_user()
    owner = _owner(postgres_data)
    if owner and owner.uid != os.geteuid():
        raise EngineError(f"{postgres_data} belongs to another user, who must start it.")
    return EngineUser(os.geteuid(), os.getegid())


def user_name(uid: int) -> str:
    """Return the name of a system user; PostgreSQL knows no user without one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        raise EngineError(
            f"User {uid} has no name on this machine (/etc/passwd), and PostgreSQL needs one."
        ) from None


def _owner(path: Path) -> EngineUser | None:
    if not path.exists():
        return None
    status = path.stat()
    return EngineUser(status.st_uid, status.st_gid)


def _unprivileged_user() -> EngineUser:
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return EngineUser(entry.pw_uid, entry.pw_gid)
    raise EngineError("PostgreSQL does not run as root, and no user `postgres` or `nobody` exists.")


def socket_folder(home: Path) -> Path:
    """Return the folder of the engines' sockets; a short one where `home` has a long name.

    The short one is always under /tmp, whatever TMPDIR says, so that every command of one
    CARBON_HOME finds it.
    """
    inside = home / "run"
    if len(os.fsencode(inside / LONGEST_SOCKET_NAME)) <= SOCKET_PATH_LIMIT_BYTES:
        return inside
    digest = hashlib.sha256(os.fsencode(home)).hexdigest()
    return Path("/tmp") / f"carbon-{digest[:20]}"  # noqa: S108 - made 0700, its owner checked


def make_engine_folder(folder: Path, user: EngineUser) -> None:
    """Create a folder that only the engines' user may enter.

    Raises:
        EngineError: somebody else's folder stands there.
    """
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        _check_engine_folder(folder, user)
    else:
        os.chown(folder, user.uid, user.gid)


def _check_engine_folder(folder: Path, user: EngineUser) -> None:
    status = folder.lstat()  # not stat: a link to somebody's folder is not ours
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == user.uid
    if not is_ours or status.st_mode & 0o077:
        raise EngineError(f"{folder} is not a private folder of user {user.uid}; remove it.")
