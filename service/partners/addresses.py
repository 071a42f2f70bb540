"""Which addresses of partners' we call: written in the one way that everybody reads the same.

Pure. A partner chooses where we connect to, so it could point us at ourselves. What is refused is
listed, because `ipaddress.is_global` says yes to NAT64, 6to4 and multicast, and `is_private` says
no to 100.64.0.0/10, where a cloud keeps its metadata.
"""

import re
from ipaddress import (
    IPv4Address,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, Literal, NamedTuple

from service.partners.errors import AddressRefused

Reach = Literal["public", "loopback"]
"""public: the internet and nothing else; loopback: this machine and nothing else, for trials."""

LONGEST_URL: Final = 1000
LONGEST_NAME: Final = 253
PORTS: Final = {"http": 80, "https": 443}

NOT_PUBLIC: Final = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this host, RFC 791
        "10.0.0.0/8",
        "100.64.0.0/10",  # carriers' NAT; 100.100.100.200 is a cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's platform, though it looks public
        "169.254.0.0/16",  # link-local; 169.254.169.254 is most clouds' metadata
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # Teredo, ORCHID and other protocols' own
        "2001:db8::/32",
        "2002::/16",  # 6to4: any IPv4 address inside
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
"""All that is given out of IPv6; mapped, NAT64 (64:ff9b::/96), local and multicast lie outside."""

_URL: Final = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<rest>/(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
)
_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# What ends in a number is an address to somebody: 127.1, 0x7f.1, 2130706433, 017700000001.
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")


class CheckedUrl(NamedTuple):
    """An address that may be looked up."""

    text: str
    """As it is called: ASCII, the host in small letters."""
    host: str
    """A name, or an address without brackets."""
    port: int


def checked_url(url: str, reach: Reach) -> CheckedUrl:
    """Return an address as it is called, if it is written as one may be.

    Public: https and a name of at least two labels, in ASCII (a name in other letters in its
    `xn--` form), any port. Loopback: http or https, a name, 127.0.0.0/8 or `[::1]`.

    Raises:
        AddressRefused: it is not; nothing was looked up.
    """
    parts = _URL.fullmatch(url) if len(url) <= LONGEST_URL else None
    if parts is None:
        raise _badly_written()
    host = parts["host"].lower()
    port = int(parts["port"] or PORTS[parts["scheme"]])
    if port > 65535 or (reach == "public" and parts["scheme"] != "https"):  # noqa: PLR2004  16 bits
        raise _badly_written()
    literal = _literal(host)
    if literal is None:
        _require_name(host, reach)
    elif reach == "public" or not is_allowed(literal, reach):
        raise refused(host, reach)
    shown_port = f":{parts['port']}" if parts["port"] else ""
    text = f"{parts['scheme']}://{host}{shown_port}{parts['rest'] or '/'}"
    return CheckedUrl(text, host.strip("[]"), port)


def is_allowed(address: IPv4Address | IPv6Address | str, reach: Reach) -> bool:
    """Say whether we connect to an address; for a text that is none, no."""
    try:
        unwrapped = _unwrapped(ip_address(address))
    except ValueError:
        return False
    if reach == "loopback":
        return unwrapped.is_loopback
    if isinstance(unwrapped, IPv6Address) and unwrapped not in GLOBAL_UNICAST:
        return False
    return not any(unwrapped in network for network in NOT_PUBLIC)


def refused(host: str, reach: Reach) -> AddressRefused:
    """Return the refusal of a host that leads where we do not connect to."""
    if reach == "loopback":
        return AddressRefused(
            "{host} does not lead to this machine, and this partner was added with"
            " --reach loopback.",
            host=host,
        )
    return AddressRefused(
        "{host} does not lead to the public internet alone. For trials on one machine an operator"
        " adds the partner with --reach loopback.",
        host=host,
    )


def _unwrapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a host is, in the one notation that nobody reads differently."""
    try:
        return IPv6Address(host[1:-1]) if host.startswith("[") else IPv4Address(host)
    except ValueError:
        return None


def _require_name(host: str, reach: Reach) -> None:
    labels = host.split(".")
    well_formed = len(host) <= LONGEST_NAME and all(map(_LABEL.fullmatch, labels))
    if not well_formed or _NUMBER.fullmatch(labels[-1]):
        raise _badly_written()
    if reach == "public" and len(labels) == 1:
        raise refused(host, reach)


def _badly_written() -> AddressRefused:
    return AddressRefused(
        "Please give an address such as https://bank.example/webhooks: https, a name in ASCII, no"
        " user, password, fragment or number. For trials on one machine an operator adds the"
        " partner with --reach loopback, which also allows http."
    )
