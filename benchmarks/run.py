"""`make bench`: measure what the service promises, print a table, write `var/bench/latest.json`."""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import city, log_figures, prefill, redeeming, sql_limit, wallets
from benchmarks.load import Load
from benchmarks.receivers import receiver
from benchmarks.requests_made import (
    FEED_LINES,
    account_reads,
    feeds,
    feeds_of,
    single_activities,
)
from benchmarks.scripts import Played
from benchmarks.serving import FOLDER, checkpoint, fresh_settings, served
from service.cli import prepare
from service.db import Database, libpq_url
from service.embedded import reachable
from service.ledger.audit import Part, audited, transfers_counted
from service.ledger.invariants import CHECKS
from service.runtime import open_runtime
from service.settings import Settings
from service.transparency.auditing import audited_log

PARTS_OF_THE_LIMIT = 20
WALLETS = 20_000
SOURCES = 1_000
LINES_OF_A_SOURCE = 400
PROOFS = 500
CUSTOMERS = 4_000
WARM_UP_S = 6
"""Until the sealer, which starts beside the server, has read its own code."""
AFTER_SUBMISSION = ["redemption.submitted", "redemption.void_requested", "redemption.expired"]
"""What a bank acts on; it knows its own captures, and reads the rest from the feed."""

Figures = dict[str, Any]


def main() -> None:
    """Measure everything that was asked for."""
    asked = _arguments()
    figures: Figures = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds")}
    if not asked.only_log_cost:
        with reachable(fresh_settings()) as ready:
            prepare(ready)
            figures |= redemptions(ready, asked.seconds, asked.outbox_seconds)
            report(figures)
    if not asked.only_log_cost and not asked.only_redemptions:
        with reachable(fresh_settings()) as ready:
            prepare(ready)
            Bench(ready, asked.seconds, asked.stored, figures).run()
    if asked.only_redemptions:
        return
    # On an installation of its own: without the log, transfers are committed to with nothing.
    with reachable(fresh_settings()) as ready:
        prepare(ready)
        figures["log_cost"] = Bench(ready, asked.seconds, 0, figures).log_cost()
    report(figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10, help="of load for each figure")
    parser.add_argument(
        "--stored", type=int, default=10_000_000, help="transfers stored for the last; 0: skip"
    )
    parser.add_argument(
        "--outbox-seconds", type=float, default=20, help="of redemptions whose events are sent"
    )
    parser.add_argument("--only-redemptions", action="store_true", help="offers and webhooks")
    parser.add_argument("--only-log-cost", action="store_true", help="ingest with and without log")
    return parser.parse_args()


def redemptions(settings: Settings, seconds: float, outbox_seconds: float) -> Figures:
    """Measure redemptions, a sale, and what a partner's receiver does to both."""
    runtime = open_runtime(settings)
    shop = redeeming.open_shop(runtime, CUSTOMERS)
    other = redeeming.open_shop(runtime, CUSTOMERS)
    sold = redeeming.put_on_offer(runtime, shop.bank, redeeming.FLASH_UNITS)
    buyers = redeeming.found_customers(runtime, shop.bank, redeeming.FLASH_CUSTOMERS)
    checkpoint(settings)
    figures: Figures = {}
    with served(settings):
        redeeming.redeem(settings, [shop], WARM_UP_S)
        figures["redeem"] = _redeemed(redeeming.redeem(settings, [shop], seconds))
        stepwise = redeeming.redeem(settings, [shop], seconds, stepwise=True)
        figures["redeem_stepwise"] = _redeemed(stepwise)
        figures["flash_offer"] = _sold(redeeming.flash_sale(settings, sold, buyers))
    with receiver() as healthy, receiver() as good, receiver(hangs=True) as bad:
        redeeming.listen(runtime, shop.bank, healthy.url, AFTER_SUBMISSION)
        with served(settings, is_couriered=True):
            played = redeeming.redeem(settings, [shop], outbox_seconds)
            drained_s = redeeming.seconds_to_drain(runtime, shop.bank)
        figures["outbox"] = {
            **_redeemed(played),
            "received": healthy.received.value,
            "drained_s": round(drained_s, 1),
        }
        rates: dict[str, list[float]] = {"healthy": [], "hanging": []}
        for name in ("healthy", "hanging", "hanging", "healthy"):
            url = good.url if name == "healthy" else bad.url
            redeeming.listen_anew(runtime, other.bank, url, AFTER_SUBMISSION)
            with served(settings, is_couriered=True):
                both = redeeming.redeem(settings, [shop, other], seconds)
                rates[name].append(both.per_s(f"captured {shop.bank.id.hex}"))
                redeeming.seconds_to_drain(runtime, shop.bank)
        figures["hanging_partner"] = {
            **{
                f"beside_{name}_per_s": [round(rate) for rate in each]
                for name, each in rates.items()
            },
            "ratio": round(sum(rates["hanging"]) / sum(rates["healthy"]), 3),
        }
    runtime.close()
    return figures


def _redeemed(played: Played) -> Figures:
    captured = sum(count for how, count in played.ended.items() if how.startswith("captured"))
    calls = {call: round(played.percentile_ms(call, 0.99), 1) for call in played.latencies_ms}
    return {
        "per_s": round(captured / played.seconds),
        "p99_ms": max(calls.values()),
        **{f"{call}_p99_ms": p99_ms for call, p99_ms in calls.items()},
        "captured": captured,
        "refused": played.ended.total() - captured,
        "seconds": round(played.seconds, 1),
    }


def _sold(played: Played) -> Figures:
    return {
        "per_s": round(played.per_s("reserved")),
        "sold_out_after_s": round(played.last_ended_at["reserved"], 1),
        "answered_per_s": round(played.ended.total() / played.seconds),
        "p99_ms": round(played.percentile_ms("reserve", 0.99), 1),
        "sold": played.ended["reserved"],
        "refused": dict(played.ended - Counter({"reserved": played.ended["reserved"]})),
        "seconds": round(played.seconds, 1),
    }


class Bench:
    """One run on one fresh installation."""

    def __init__(self, settings: Settings, seconds: float, stored: int, figures: Figures) -> None:
        self.settings = settings
        self.seconds = seconds
        self.stored = stored
        self.figures = figures
        runtime = open_runtime(settings)
        self.city = city.found_city(runtime)
        self.sources = city.found_sources(runtime, SOURCES)
        runtime.close()
        self.database = Database(settings.database_url)
        self.wallets = wallets.filled(self.database, WALLETS)
        checkpoint(settings)

    def run(self) -> None:
        """Measure, and report after each part, so that a run that is cut short has said much."""
        with served(self.settings):
            self._warm_up()
            self.figures["batch_ingest"] = self._ingest(seed=1000)
            self._report()
            self.figures["single_activity"] = _figures(
                single_activities(self.settings, self.city, self.seconds, seed=2000)
            )
            self.figures["account_read"] = _figures(
                account_reads(self.settings, self.city, self.seconds)
            )
            self.figures["hold_capture"] = self._spending()
            self.figures["hot_wallet"] = self._spending(hot=True)
            self.figures["seal"] = self._seal()
            self.figures["proof_ms"] = self._proofs()
            self.figures |= self._one_source_and_a_thousand()
        self._add_limit()
        self._report()
        if self.stored:
            self._measure_stored()
            self._report()
        self.database.close()

    def _warm_up(self) -> None:
        feeds(self.settings, self.city, seconds=2, seed=10)
        single_activities(self.settings, self.city, seconds=1, seed=20)
        account_reads(self.settings, self.city, seconds=1)
        wallets.measure(self.settings.database_url, self.wallets, 1)

    def _ingest(self, seed: int, seconds: float = 0) -> Figures:
        load = feeds(self.settings, self.city, seconds or self.seconds, seed)
        return {**_figures(load), "per_s": round(load.per_s * FEED_LINES)}

    def _spending(self, *, hot: bool = False) -> Figures:
        url = self.settings.database_url
        load = wallets.measure(url, self.wallets, self.seconds, hot=hot)
        return {
            **_figures(load),
            "pair_p99_ms": round(load.pair_percentile_ms(0.99), 1),
            "errors": load.refused,
        }

    def _seal(self) -> Figures:
        """Wait for heads while feeds come in as fast as they are taken."""
        ingest: list[Figures] = []
        busy = threading.Thread(target=lambda: ingest.append(self._ingest(seed=3000)))
        busy.start()
        time.sleep(1)
        load = log_figures.time_to_head(self.database, self.seconds - 2)
        busy.join()
        return {
            **_figures(load),
            "max_ms": round(max(load.latencies_ms), 1),
            "beside_ingest_per_s": ingest[0]["per_s"],
        }

    def _proofs(self) -> Figures:
        with self.database.raw_transaction() as connection:
            some = connection.execute(
                "SELECT citizen_id, id FROM transfer WHERE kind = 'issue' LIMIT 50000"
            ).fetchall()
        return _figures(log_figures.time_to_prove(self.database, some, PROOFS))

    def _one_source_and_a_thousand(self) -> Figures:
        """Send equal feeds, once all from one source and once each from another."""
        lines, seconds = LINES_OF_A_SOURCE, self.seconds / 2
        one, many = self.sources[0], self.sources
        found: dict[str, list[float]] = {"one_source": [], "thousand_sources": []}
        for turn in range(2):
            for name, sources in (("one_source", [one]), ("thousand_sources", many)):
                seed = 10_000_000 * (1 + turn) + (0 if sources is many else 5_000_000)

                def feed(
                    number: int, sources: list[city.SmallSource] = sources, seed: int = seed
                ) -> tuple[str, list[bytes]]:
                    source = sources[number % len(sources)]
                    window = many[number % len(many)].window
                    return source.token, list(city.rides(lines, seed + number, window))

                load = feeds_of(self.settings, feed, seconds, lines)
                found[name].append(load.per_s * lines)
        rates = {name: round(sum(each) / len(each)) for name, each in found.items()}
        ratio = round(rates["one_source"] / rates["thousand_sources"], 3)
        return {"sources": {**rates, "ratio": ratio}}

    def _add_limit(self) -> None:
        limit = sql_limit.measure(
            self.settings.database_url,
            self.city.citizen_ids,
            self.city.source_id,
            parts=PARTS_OF_THE_LIMIT,
            callers=2,
        )
        ingest = self.figures["batch_ingest"]
        ingest["sql_limit_per_s"] = round(limit)
        ingest["ratio"] = round(ingest["per_s"] / limit, 3)

    def _measure_stored(self) -> None:
        """Measure once more with millions stored and sealed, and a checkpoint in the middle."""
        prefill.store(
            self.settings.migration_database_url,
            [each.hex for each in self.city.citizen_ids],
            self.city.source_id.hex,
            activities=self.stored,
        )
        checkpoint(self.settings)
        with served(self.settings):
            began_at = time.perf_counter()
            log_figures.time_to_head(self.database, 0.001)
            backlog_s = time.perf_counter() - began_at
            feeds(self.settings, self.city, seconds=2, seed=4000)
            at_the_same_time = subprocess.Popen(
                [sys.executable, "-c", CHECKPOINT, libpq_url(self.settings.migration_database_url)]
            )
            ingest = self._ingest(seed=5000, seconds=self.seconds * 2)
            at_the_same_time.wait(120)
            spending = self._spending()
            proofs = self._proofs()
        for name, each in {"batch_ingest": ingest, "hold_capture": spending}.items():
            share = each["per_s"] / self.figures[name]["per_s"]
            self.figures[f"{name}_stored"] = {**each, "share_of_empty": round(share, 3)}
        self.figures["proof_ms_stored"] = proofs
        self.figures["stored"] = {
            "transfers": self.stored,
            "sealed_per_s": round(self.stored / backlog_s),
        }
        self.figures["audit_per_s"] = self._audit()

    def _audit(self) -> Figures:
        transfers = transfers_counted(self.database)
        runtime = open_runtime(self.settings)
        parts = [Part(CHECKS), audited_log(runtime)]
        began_at = time.perf_counter()
        findings = list(audited(self.database, parts))
        seconds = time.perf_counter() - began_at
        runtime.close()
        return {
            "transfers": transfers,
            "seconds": round(seconds, 1),
            "per_s": round(transfers / seconds),
            "broken": sum(finding.differences > 0 for finding in findings),
        }

    def log_cost(self) -> Figures:
        """Measure ingest with the log and without it by turns, and compare the means."""
        rates: dict[bool, list[int]] = {True: [], False: []}
        for turn, has_log in enumerate((True, False, False, True)):
            application = "wsgi:app" if has_log else "benchmarks.without_log:app"
            with served(self.settings, application=application, is_sealed=has_log):
                feeds(self.settings, self.city, seconds=2, seed=6000 + 1000 * turn)
                rates[has_log].append(self._ingest(seed=6500 + 1000 * turn)["per_s"])
        self.database.close()
        return {
            "with_log_per_s": rates[True],
            "without_log_per_s": rates[False],
            "ratio": round(sum(rates[True]) / sum(rates[False]), 3),
        }

    def _report(self) -> None:
        report(self.figures)


def report(figures: Figures) -> None:
    """Write what has been measured so far, and print it."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "latest.json").write_text(json.dumps(figures, indent=2) + "\n")
    for name, each in figures.items():
        if isinstance(each, dict):
            print(f"{name:22}", "  ".join(f"{key} {value}" for key, value in each.items()))
    print(flush=True)


CHECKPOINT = (
    "import sys, time, psycopg; time.sleep(3);"
    "psycopg.connect(sys.argv[1], autocommit=True).execute('CHECKPOINT')"
)


def _figures(load: Load) -> Figures:
    return {
        "per_s": round(load.per_s),
        "p50_ms": round(load.percentile_ms(0.50), 1),
        "p99_ms": round(load.percentile_ms(0.99), 1),
        "requests": load.answered,
        "seconds": round(load.seconds, 1),
    }


if __name__ == "__main__":
    main()
