"""Where we connect to: refused when a partner registers it, and refused when we call."""

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from service.errors import DomainError
from service.partners.addresses import Reach, checked_url, is_allowed
from service.partners.outgoing import NoAnswer, fetch_json, guarded_session
from tests.partners.webhooks.conftest import Bank, MakeBank, make_bank
from tests.partners.webhooks.receivers import Receiver, delivering, wait_until

PUBLIC = "93.184.215.14"

NAMES = {
    "good.example": [PUBLIC],
    "six.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c"],
    "mixed.example": [PUBLIC, "10.0.0.7"],
    "mixed6.example": ["2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::1"],
    "inside.example": ["10.1.2.3"],
    "metadata.example": ["169.254.169.254"],
    "alibaba.example": ["100.100.100.200"],
    "azure.example": ["168.63.129.16"],
    "mapped.example": ["::ffff:127.0.0.1"],
    "nat64.example": ["64:ff9b::7f00:1"],
    "sixtofour.example": ["2002:7f00:1::"],
    "teredo.example": ["2001:0:7f00:1::"],
    "linklocal.example": ["fe80::1"],
    "unique.example": ["fd00:ec2::254"],
    "multicast.example": ["224.0.0.1"],
    "broadcast.example": ["255.255.255.255"],
    "nowhere.example": ["0.0.0.0"],  # noqa: S104  an address, not a place to listen
    "localhost": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "localtest.example": ["127.0.0.1"],
}

LITERALS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "127.0.0.01",
    "①②⑦.⓪.⓪.①",
    "127。0。0。1",
    "0.0.0.0",  # noqa: S104
    "0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "192.0.0.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:0:0:1]",
    "[fc00::1]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "[2001::1]",
    "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]",
    "93.184.215.14",
    "1.1.1.1",
    "1.1",
    "16843009",
    "a.b.1",
    "a.b.0x1",
]

WRITTEN = [
    "",
    "good.example",
    "//good.example/x",
    "http://good.example/x",
    "ftp://good.example/x",
    "file:///etc/passwd",
    "gopher://good.example/",
    "javascript:alert(1)",
    "https:///x",
    "https:good.example",
    "https:/good.example",
    "https:\\\\good.example",
    "https://good.example\\@127.0.0.1/",
    "https://good.example@127.0.0.1/",
    "https://good.example:pw@inside.example/",
    "https://127.0.0.1#@good.example/",
    "https://good.example#frag",
    "https://good.example/\r\nHost: inside.example",
    "https://good.example/\n",
    "https://good.example/ x",
    "https://good.example/\t",
    "https://good.exam\tple/",
    "https://good.example\x00.inside.example/",
    "https://good.example./",
    "https://localhost./",
    "https://.good.example/",
    "https://good..example/",
    "https://-good.example/",
    "https://good_.example/",
    "https://%67ood.example/",
    "https://good.example:0/",
    "https://good.example:65536/",
    "https://good.example:080/",
    "https://good.example:/",
    "https://good.example:443:443/",
    "https://good.example:@inside.example/",
    "https://gооd.example/",  # Cyrillic
    "https://good。example/",
    "https://ｇood.example/",
    "https://good.example/%zz",
    "https://good.example/é",
    "https://good.example?x=1",
    "https://[good.example]/",
    "https://[::1/",
    " https://good.example/",
    "https://" + "a" * 64 + ".example/",
    "https://" + "a." * 130 + "example/",
    "https://good.example/" + "a" * 1000,
]

INSIDE = [name for name in NAMES if name not in {"good.example", "six.example"}]

Answers = dict[str, list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """The name servers of this test; whoever changes the answers moves a name elsewhere."""
    answers: Answers = dict(NAMES)
    real: Callable[..., Any] = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        known = answers.get(host) or ([host] if is_literal(host) else [])
        if not known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [found for each in known for found in real(each, port, *rest, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return answers


@pytest.fixture
def canary() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


def is_literal(host: str) -> bool:
    return is_allowed(host, "public") or is_allowed(host, "loopback")


def register(bank: Bank, url: str) -> Any:
    return bank.post("/webhook-endpoints", {"url": url})


@pytest.mark.usefixtures("names")
class TestRegistering:
    @pytest.mark.parametrize(
        "url",
        [f"https://{host}/x" for host in LITERALS]
        + [f"https://{host}/x" for host in INSIDE]
        + [f"https://{host}/x" for host in ("unknown.example", "single")]
        + WRITTEN,
    )
    def test_refuses_what_leads_inside_or_can_be_read_in_two_ways(
        self, public_bank: Bank, url: str
    ) -> None:
        answer = register(public_bank, url)

        assert answer.status_code == 422
        assert answer.get_json()["code"] in {
            "endpoint-address-refused",
            "validation-failed",
            "text-invalid",
        }
        assert public_bank.get("/webhook-endpoints").get_json()["items"] == []

    @pytest.mark.parametrize(
        ("url", "kept"),
        [
            ("https://good.example/hooks", "https://good.example/hooks"),
            ("https://good.example", "https://good.example/"),
            (
                "https://GOOD.Example:8443/a%20b?c=d&e=%2f",
                "https://good.example:8443/a%20b?c=d&e=%2f",
            ),
            ("https://six.example/", "https://six.example/"),
        ],
    )
    def test_takes_a_public_name(self, a_bank: MakeBank, url: str, kept: str) -> None:
        answer = register(a_bank(), url)

        assert (answer.status_code, answer.get_json()["url"]) == (201, kept)

    def test_names_the_way_to_try_things_out(self, public_bank: Bank) -> None:
        for url in ("http://127.0.0.1:9/x", "https://localtest.example/", "https://localhost/"):
            assert "--reach loopback" in register(public_bank, url).get_json()["detail"]

    @pytest.mark.parametrize(
        "url",
        [
            "http://127.0.0.1:9/",
            "http://127.9.9.9/",
            "http://[::1]:9/x",
            "https://localhost/",
            "http://localtest.example/",
        ],
    )
    def test_lets_a_partner_beside_us_be_beside_us(self, bank: Bank, url: str) -> None:
        assert register(bank, url).status_code == 201

    @pytest.mark.parametrize(
        "url",
        [
            "https://good.example/",
            "http://mixed.example/",
            "http://10.0.0.1/",
            "http://[::ffff:10.0.0.1]/",
            "http://0.0.0.0/",
            "http://127.1/",
            "http://2130706433/",
            "http://169.254.169.254/",
        ],
    )
    def test_lets_a_partner_beside_us_be_nowhere_else(self, a_bank: MakeBank, url: str) -> None:
        answer = register(a_bank(reach="loopback"), url)

        assert answer.get_json()["code"] == "endpoint-address-refused"

    def test_refuses_the_same_when_an_endpoint_moves(self, bank: Bank) -> None:
        made = register(bank, "http://127.0.0.1:9/").get_json()

        answer = bank.put(f"/webhook-endpoints/{made['id']}", {"url": "http://10.0.0.1/"})

        assert answer.get_json()["code"] == "endpoint-address-refused"

    def test_does_not_wait_for_ever_for_a_name_server(
        self, public_bank: Bank, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def answer_late(*_: Any) -> None:
            time.sleep(4)
            raise socket.gaierror(socket.EAI_AGAIN, "late")

        monkeypatch.setattr(socket, "getaddrinfo", answer_late)
        began_at = time.monotonic()

        answer = register(public_bank, "https://slow.example/")

        assert answer.get_json()["code"] == "endpoint-address-refused"
        assert time.monotonic() - began_at < 3.8


@pytest.fixture(scope="module")
def public_bank(runtime: Any, app: Any) -> Bank:
    return make_bank(runtime, app)


class TestCalling:
    def test_never_follows_a_name_that_has_moved_inside(
        self, a_bank: MakeBank, names: Answers, canary: Receiver
    ) -> None:
        bank = a_bank()
        register(bank, f"https://good.example:{canary.port}/")
        names["good.example"] = ["127.0.0.1"]
        bank.happens()

        assert _error_of_first_attempt(bank) == "address-refused"
        assert canary.arrivals == []

    def test_never_uses_the_good_half_of_a_mixed_answer(
        self, bank: Bank, names: Answers, canary: Receiver
    ) -> None:
        register(bank, f"http://localtest.example:{canary.port}/")
        names["localtest.example"] = ["127.0.0.1", PUBLIC]
        bank.happens()

        assert _error_of_first_attempt(bank) == "address-refused"
        assert canary.arrivals == []

    @pytest.mark.parametrize("scheme", ["http", "https"])
    @pytest.mark.usefixtures("names")
    def test_reads_a_stored_address_again(
        self, a_bank: MakeBank, canary: Receiver, scheme: str
    ) -> None:
        bank = a_bank()
        register(bank, "https://good.example/")
        with bank.runtime.database.raw_transaction() as connection:
            connection.execute(
                "UPDATE webhook_endpoint SET url = %s WHERE partner_id = %s",
                (f"{scheme}://127.0.0.1:{canary.port}/", bank.id),
            )
        bank.happens()

        assert _error_of_first_attempt(bank) == "address-refused"
        assert canary.arrivals == []

    @pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "2130706433", "[::ffff:127.0.0.1]"])
    def test_opens_no_socket_to_a_literal(self, canary: Receiver, host: str) -> None:
        async def call() -> int:
            async with guarded_session("public", at_once=1, total_s=5) as session:
                url = URL(f"http://{host}:{canary.port}/", encoded=True)
                async with session.get(url, allow_redirects=False) as response:
                    return response.status

        with pytest.raises((aiohttp.ClientError, OSError)):
            asyncio.run(call())

        assert canary.arrivals == []

    def test_of_a_caller_without_a_loop_is_as_guarded(self, canary: Receiver) -> None:
        url = f"http://127.0.0.1:{canary.port}/status?redemption_id=1"

        assert fetch_json(url, "loopback", {"X-Asked": "1"}, 5) == (200, b"")
        assert canary.arrivals[0].headers["x-asked"] == "1"
        with pytest.raises(NoAnswer, match="address-refused"):
            fetch_json(url, "public", {}, 5)
        assert len(canary.arrivals) == 1

    def test_says_why_there_was_no_answer(self) -> None:
        with Receiver() as gone:
            url = gone.url
        with pytest.raises(NoAnswer, match="not-reachable"):
            fetch_json(url, "loopback", {}, 5)
        with pytest.raises(NoAnswer, match="tls-failed"), Receiver() as plain:
            fetch_json(plain.url.replace("http:", "https:"), "loopback", {}, 5)


class TestAnAddress:
    @given(st.ip_addresses())
    def test_is_public_or_beside_us_and_never_both(self, address: Any) -> None:
        assert not (is_allowed(address, "public") and is_allowed(address, "loopback"))
        if is_allowed(address, "public"):
            assert address.is_global

    @given(st.text(max_size=60), st.sampled_from(["public", "loopback"]))
    def test_is_refused_or_read_the_same_way_again(self, text: str, reach: Reach) -> None:
        for url in (text, f"https://{text}", f"https://good.example/{text}"):
            try:
                once = checked_url(url, reach)
            except DomainError:
                continue
            assert checked_url(once.text, reach) == once
            assert URL(once.text, encoded=True).host == once.host

    @pytest.mark.parametrize("text", ["", "x", "1.2.3", "::g", "1.2.3.4/8"])
    def test_that_is_none_is_not_allowed(self, text: str) -> None:
        assert not is_allowed(text, "public")


def _error_of_first_attempt(bank: Bank) -> str | None:
    def attempted() -> list[dict[str, Any]]:
        items = bank.get("/webhook-deliveries").get_json()["items"]
        return [each for each in items if each["attempts"]]

    with delivering(bank.runtime):
        wait_until(lambda: bool(attempted()))
    error: str | None = attempted()[0]["last_error"]
    return error
