"""Which addresses a dataset may be fetched from.

A URL in a Workspace makes this pod connect somewhere. Whoever may write Workspaces must not reach the cloud's metadata
service or the cluster's inside by that, not even by a redirect or by a name that resolves to such an address.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from kaito_runtime.tune.failures import dataset_unavailable, invalid

ALLOWED_HOSTS = "KAITO_DATASET_PRIVATE_HOSTS"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SHARED = ipaddress.IPv4Network("100.64.0.0/10")
_AZURE_WIRE_SERVER = ipaddress.IPv4Address("168.63.129.16")
"""Public by its number, but answers Azure's virtual machines only, with their configuration."""


@dataclass(frozen=True)
class PrivateHosts:
    """What is allowed besides the public internet."""

    names: frozenset[str]
    networks: tuple[Network, ...]

    @staticmethod
    def from_environment() -> PrivateHosts:
        """Of KAITO_DATASET_PRIVATE_HOSTS: hosts, host:port, or networks, separated by commas."""
        names, networks = set(), []
        for entry in (part.strip().lower() for part in os.environ.get(ALLOWED_HOSTS, "").split(",")):
            if not entry:
                continue
            try:
                networks.append(ipaddress.ip_network(entry, strict=False))
            except ValueError:
                names.add(entry)
        return PrivateHosts(frozenset(names), tuple(networks))

    def allow(self, host: str, port: int, address: Address) -> bool:
        """True when `host` or `address` is listed."""
        bracketed = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self.names & {host.lower(), bracketed.lower()}:
            return True
        return any(address.version == network.version and address in network for network in self.networks)


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
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None:
            return False
        return address.is_global and not address.is_multicast and not address.is_site_local
    if address == _AZURE_WIRE_SERVER or address in _SHARED:
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved
