"""`carbon partner simulate`: a partner beside the service, until Ctrl-C."""

import json
import signal
import sys
import threading
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import click

from service import clock
from service.partners.simulator.agenda import Agenda
from service.partners.simulator.habits import PROFILES, Character, habits_of
from service.partners.simulator.partner import SimulatedPartner
from service.partners.simulator.server import HOST, Desk, server_of
from service.partners.simulator.service_client import Refused, ServiceClient, Silent
from service.partners.simulator.settlement_file import file_of

PAGE: Final = 200
FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("simulate")
@click.option("--profile", required=True, type=click.Choice(sorted(PROFILES)))
@click.option("--url", envvar="CARBON_URL", default="http://127.0.0.1:8000", show_default=True)
@click.option("--client-id", required=True, help="Of a partner added with --reach loopback.")
@click.option("--key", "key_file", required=True, type=FILE, help="From `carbon partner new-key`.")
@click.option("--port", default=9010, show_default=True, help="Where it listens; 0: any.")
@click.option("--seed", default=1, show_default=True, help="The same one, the same choices.")
@click.option("--habit", "habits", multiple=True, help="Such as never=0.5; see the guide.")
@click.option("--poll-s", default=5.0, show_default=True, help="Between two looks at the feed.")
@click.option("--sign", "signs", is_flag=True, help="Sign each message (RFC 9421).")
def simulate_command(
    profile: str,
    url: str,
    client_id: str,
    key_file: Path,
    port: int,
    seed: int,
    habits: tuple[str, ...],
    poll_s: float,
    *,
    signs: bool,
) -> None:
    """Be a bank, an insurer or a flaky partner, over HTTP only, and print what is done."""
    character = Character(habits_of(profile, habits), seed)
    service = ServiceClient(url, client_id, key_file, signs=signs)
    simulation = Simulation(service, character, poll_s)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        simulation.run(port)
    except KeyboardInterrupt:
        tell("ended")
    except (Refused, Silent, OSError) as error:
        raise click.ClickException(str(error)) from error


class Simulation:
    """The partner, its addresses, and what it does of its own accord."""

    def __init__(self, service: ServiceClient, character: Character, poll_s: float) -> None:
        self.agenda = Agenda()
        self._service = service
        self._poll_s = poll_s
        self._after_seq = 0
        self._day = clock.today()
        self._partner = SimulatedPartner(service, character, self.agenda, tell)
        self._desk = Desk(self._partner.book, character, self._hear_webhook, self._end_day_soon)

    def run(self, port: int) -> None:
        """Work until an interrupt."""
        server = server_of(self._desk, port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            self._register(f"http://{HOST}:{server.server_address[1]}/hook")
            self.agenda.after(0, self._look)
            self.agenda.run()
        finally:
            server.shutdown()
            server.server_close()

    def _register(self, hook: str) -> None:
        """Let webhooks come here; an endpoint of an earlier run goes, as its secret is lost."""
        for endpoint in self._service.get("/v1/webhook-endpoints")["items"]:
            if endpoint["url"] == hook:
                self._service.delete(f"/v1/webhook-endpoints/{endpoint['id']}")
        endpoint = self._service.post("/v1/webhook-endpoints", {"url": hook, "signatures": ["v1"]})
        self._desk.secrets.append(endpoint["secret"])
        tell("listening", hook=hook, endpoint=endpoint["id"])

    def _look(self) -> None:
        """Read the feed for what no webhook has told, and see whether a day has ended."""
        try:
            while self._read_page():
                pass
        except (Refused, Silent) as error:
            tell("unanswered", id="feed", reason=str(error))
        if self._day < clock.today():
            self._end_day(self._day)
            self._day += timedelta(days=1)
        self.agenda.after(self._poll_s, self._look)

    def _read_page(self) -> bool:
        """Take in a page of the feed and say whether there is more."""
        page = self._service.get(f"/v1/events?after_seq={self._after_seq}&limit={PAGE}")
        for event in page["items"]:
            self._partner.hear(event, "feed")
        self._after_seq = page["next_after_seq"]
        return page["next"] is not None

    def _hear_webhook(self, event: Mapping[str, Any]) -> None:
        self.agenda.after(0, lambda: self._partner.hear(event, "webhook"))

    def _end_day_soon(self) -> None:
        self.agenda.after(0, lambda: self._end_day(clock.today()))

    def _end_day(self, day: date) -> None:
        """Send the settlement file of a day."""
        entries = self._partner.book.entries_of(day)
        path = f"/v1/partner-files?business_date={day.isoformat()}"
        try:
            answer = self._service.post_as("text/csv", path, file_of(entries))
        except (Refused, Silent) as error:
            tell("file not taken", day=day.isoformat(), reason=str(error))
            return
        tell("file sent", day=day.isoformat(), lines=len(entries), answer=answer)


def tell(did: str, **members: Any) -> None:
    """Print one thing done, as a JSON line."""
    line = {"at": clock.now().isoformat(timespec="milliseconds"), "did": did, **members}
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()
