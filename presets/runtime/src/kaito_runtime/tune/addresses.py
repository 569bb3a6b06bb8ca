"""Which addresses a dataset may be fetched from.

A URL in a Workspace makes this pod connect somewhere. Whoever may write Workspaces must not reach the cloud's metadata
service or the cluster's inside by that, not even by a redirect or by a name that resolves to such an address. The
worker holds the same rules (activities/tuning/addresses.ts); one table of examples tests both.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from kaito_runtime.tune.failures import dataset_unavailable, invalid

ALLOWED_HOSTS = "KAITO_DATASET_PRIVATE_HOSTS"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NOT_PUBLIC_IPV4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        # Azure's wire server: public by its number, but it answers virtual machines only, with their configuration.
        "168.63.129.16/32",
    )
)
"""Ranges of IANA's special-purpose registries that are not reachable for everybody. Listed rather than asked of the
library, whose lists differ from one Python to the next."""

_ASSIGNED_IPV6 = ipaddress.IPv6Network("2000::/3")
"""The only range that is assigned for public use."""
_NOT_PUBLIC_IPV6 = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class PrivateHosts:
    """What is allowed besides the public internet."""

    names: frozenset[str]
    networks: tuple[Network, ...]

    @staticmethod
    def from_environment() -> PrivateHosts:
        """Of KAITO_DATASET_PRIVATE_HOSTS: hosts, host:port, or networks, separated by commas.

        What has a slash and is no network is refused: taken for a name, it would allow nothing and nobody would know.
        """
        names, networks = set(), []
        for entry in (part.strip().lower() for part in os.environ.get(ALLOWED_HOSTS, "").split(",")):
            if not entry:
                continue
            network = _network(entry)
            if network is not None:
                networks.append(network)
            elif "/" in entry:
                raise invalid(
                    f"{ALLOWED_HOSTS}: '{entry}' is no network",
                    "Let the operator write for example 10.1.0.0/16, or a host without a slash.",
                )
            else:
                names.add(entry)
        return PrivateHosts(frozenset(names), tuple(networks))

    def allow(self, host: str, port: int, address: Address) -> bool:
        """True when `host` or `address` is listed."""
        bracketed = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self.names & {host.lower(), bracketed.lower()}:
            return True
        return any(address.version == network.version and address in network for network in self.networks)


def _network(entry: str) -> Network | None:
    """An address alone, or with a number of bits; not with a mask, nor with the zone of a link-local address."""
    if not re.fullmatch(r"[^/%]+(/[0-9]{1,3})?", entry):
        return None
    try:
        return ipaddress.ip_network(entry, strict=False)
    except ValueError:
        return None


def resolve(host: str, port: int, allowed: PrivateHosts) -> Sequence[str]:
    """The addresses of `host`, all of them checked.

    A connection must go to one of these, not to what the name says a moment later.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise dataset_unavailable(f"the name {host} cannot be resolved: {error}") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        address = ipaddress.ip_address(text.split("%")[0])
        if not is_public(address) and not allowed.allow(host, port, address):
            raise invalid(
                f"{host} is {address}, a private address: datasets are fetched from public addresses only",
                "Use a public address, give the dataset as image or volume, "
                f"or let the operator list the host in {ALLOWED_HOSTS}.",
            )
    return addresses


def is_public(address: Address) -> bool:
    """Reachable for everybody: not loopback, link-local (metadata services), private, shared, multicast or reserved."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_IPV4)
    inner = address.ipv4_mapped
    if address in _NAT64:
        inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if inner is not None:
        return is_public(inner)
    return address in _ASSIGNED_IPV6 and not any(address in network for network in _NOT_PUBLIC_IPV6)
