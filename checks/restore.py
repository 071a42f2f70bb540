"""restore: a base backup and streamed WAL bring everything back in another directory.

    python -m checks.restore --seed 1

Under load the database of a real `carbon run` is backed up with `pg_basebackup`, while every commit
waits for `pg_receivewal`. One citizen is erased before the backup and one after it. Then service
and cluster are killed and the data folder is deleted. Restored with all WAL, nothing that was
acknowledged is missing, the log extends the head that is kept outside, and both citizens are gone.
Restored without the later WAL (the mistake), the second one is erased again at the start, and no
head is signed that does not continue the last one.
"""

import base64
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

from checks.backup import Backup
from checks.calling import Client
from checks.comparing import differences, resolve
from checks.house import WITHOUT_REDEMPTIONS, Service, a_folder, audit
from checks.load import RIDERS, WALLETS, Load, MixedLoad
from checks.log_entries import compare_log, leaf_hashes, root_of
from checks.operations import Posting
from checks.processes import kill_cluster, postmaster_of, wait_until
from checks.town import Town, erase, feed_of, metro_ride
from checks.verdict import Verdict, arguments
from service.runtime import Runtime, open_runtime
from service.transparency.verification import verify_consistency

LOAD_S: Final = 3.0
SEALED_WITHIN_S: Final = 15.0
STANDS_STILL_S: Final = 3.0
LEAVERS: Final = ("leaves-before", "leaves-after")

LEFT_OF_HER: Final = """
SELECT (SELECT state FROM citizen WHERE citizen_id = %(who)s),
       (SELECT secret IS NULL FROM account WHERE citizen_id = %(who)s),
       (SELECT count(*) FROM activity_detail WHERE citizen_id = %(who)s)
"""


class Head(NamedTuple):
    """What a checkpoint says (C2SP tlog-checkpoint): its second and third line."""

    size: int
    root: bytes

    @classmethod
    def read(cls, note: str) -> "Head":
        """Return the size and root of a note."""
        _, size, root, *_ = note.splitlines()
        return cls(int(size), base64.b64decode(root))


def main(given: Sequence[str] | None = None) -> int:
    """Run the check; return the exit status."""
    asked = arguments(__doc__ or "").parse_args(given)
    verdict = Verdict("restore", asked.seed)
    with a_folder() as folder:
        Drill(folder, verdict, asked.seed).run()
    return verdict.closed()


class Drill:
    """One disaster and two restores."""

    def __init__(self, folder: Path, verdict: Verdict, seed: int) -> None:
        """Begin with an empty folder."""
        self._folder = folder
        self._verdict = verdict
        self._seed = seed
        self._outside = folder / "outside"
        self._port = 0

    def run(self) -> None:
        """Lose everything but the backup, and come back."""
        with self._serving("home") as (service, runtime):
            self._port = service.port
            load, leavers, backup = self._live(service, runtime)
        kept = self._head_outside()
        shutil.rmtree(service.home / "postgres")
        began_at = time.monotonic()
        backup.restored("restored", with_wal=True)
        backup.restored("stale", with_wal=False)
        with self._serving("restored") as (service, runtime):
            self._verdict.counts["restored and served within, s"] = round(
                time.monotonic() - began_at
            )
            self._compare(runtime, load)
            self._require_erased(runtime, leavers)
            self._require_log_goes_on(service, runtime, kept)
            self._verdict.faults += audit(runtime, besides=WITHOUT_REDEMPTIONS)
        self._restore_wrongly(leavers)

    def _live(self, service: Service, runtime: Runtime) -> tuple[Load, dict[str, UUID], Backup]:
        """Serve, back up, erase, and die in the middle of it."""
        backup = Backup(service, self._folder)
        client = Client(service.port)
        town = Town(runtime, WALLETS + RIDERS)
        leavers = town.join(LEAVERS)
        for account in LEAVERS:
            client.feed(town.source_token, feed_of([metro_ride(account, n) for n in range(3)]))
        requests = MixedLoad(town, client)
        load = Load(requests, self._seed)
        load.send(requests.endowment)
        with backup.streaming(), load.on():
            erase(runtime, leavers[LEAVERS[0]])
            time.sleep(LOAD_S)
            backup.take()
            time.sleep(LOAD_S)
            erase(runtime, leavers[LEAVERS[1]])
            time.sleep(LOAD_S)
            kill_cluster(postmaster_of(service.home))
            service.die()
        return load, leavers, backup

    def _compare(self, runtime: Runtime, load: Load) -> None:
        for operation in load.operations:
            if isinstance(operation.request, Posting):
                operation.request.database = runtime.database
        with runtime.database.raw_transaction() as connection:
            found = differences(connection, load.operations)
        acknowledged = sum(each.answer is not None for each in load.operations)
        self._verdict.count("acknowledged", acknowledged)
        self._verdict.count("missing", found.missing)
        resolve(load.operations, self._verdict)
        with runtime.database.raw_transaction() as connection:
            found = differences(connection, load.operations)
        self._verdict.count("doubled", found.doubled)
        self._verdict.faults += found.sentences

    def _require_erased(self, runtime: Runtime, leavers: dict[str, UUID]) -> None:
        for name, citizen_id in leavers.items():
            with runtime.database.raw_transaction() as connection:
                left = connection.execute(LEFT_OF_HER, {"who": citizen_id}).fetchone()
            self._verdict.count("erased citizens looked for")
            self._verdict.require(left == ("erased", True, 0), f"{name} the backup: {left}")

    def _require_log_goes_on(self, service: Service, runtime: Runtime, kept: Head) -> None:
        """The head from before the disaster is a prefix of what is signed after it."""
        client = Client(service.port)
        wait_until(lambda: _published(client).size > kept.size, SEALED_WITHIN_S)
        compare_log(runtime, self._verdict)
        head = _published(client)
        self._verdict.require(head.size > kept.size, f"no head after {kept.size} leaves")
        with runtime.database.raw_transaction() as connection:
            leaves = leaf_hashes(connection)
        for each in (kept, head):
            self._verdict.require(
                root_of(leaves[: each.size]) == each.root, f"the head of {each.size} is another"
            )
        path = f"/v1/log/proofs/consistency?from={kept.size}&to={head.size}"
        answer = client.get(path, "")
        if answer.status != 200:
            self._verdict.fault(f"no proof from {kept.size} to {head.size}: {answer.body}")
            return
        hashes = [base64.b64decode(each) for each in answer.body["consistency_path"]]
        verify_consistency(kept.size, kept.root, head.size, head.root, hashes)
        self._verdict.count("leaves signed before", kept.size)
        self._verdict.count("leaves signed after", head.size)

    def _restore_wrongly(self, leavers: dict[str, UUID]) -> None:
        """Start on a backup whose WAL was forgotten."""
        before = self._note_outside()
        with self._serving("stale") as (_service, runtime):
            self._require_erased(runtime, leavers)
            time.sleep(STANDS_STILL_S)
            same = self._note_outside() == before
            self._verdict.require(same, "a restored backup has begun a second history")

    def _note_outside(self) -> str:
        return (self._outside / "checkpoint").read_text()

    def _head_outside(self) -> Head:
        return Head.read(self._note_outside())

    @contextmanager
    def _serving(self, name: str) -> Iterator[tuple[Service, Runtime]]:
        """Serve from a home, at the same port and with the same folder outside."""
        more = {"CARBON_OUTSIDE": str(self._outside)}
        service = Service(self._folder, name=name, port=self._port, more=more)
        try:
            service.start()
            runtime = open_runtime(service.settings)
            try:
                yield service, runtime
            finally:
                runtime.close()
        finally:
            service.stop()


def _published(client: Client) -> Head:
    """Return the log's newest head as everybody sees it."""
    return Head.read(client.get("/v1/log/checkpoint", "").body.decode())


if __name__ == "__main__":
    sys.exit(main())
