"""Which addresses a dataset may come from."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import pytest

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.tune.addresses import PrivateHosts, is_public, resolve


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "168.63.129.16",
        "100.64.0.1",
        "0.0.0.0",  # noqa: S104
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1",
        "fd00::1",
        "fec0::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
    ],
)
def test_what_is_inside_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "64:ff9b::808:808"])
def test_what_is_outside_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_one_private_address_among_several_refuses_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def lookup(*_arguments: Any, **_named: Any) -> list[Any]:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "169.254.169.254")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with pytest.raises(RuntimeFailure, match=r"data\.example is 169\.254\.169\.254, a private address"):
        resolve("data.example", 80, PrivateHosts(frozenset(), ()))


@pytest.mark.parametrize(
    ("listed", "port", "allowed"),
    [
        ("127.0.0.1", 80, True),
        ("127.0.0.1:8080", 8080, True),
        ("127.0.0.1:8080", 80, False),
        ("10.0.0.0/8, 127.0.0.0/30", 80, True),
        ("10.0.0.0/8", 80, False),
        ("", 80, False),
    ],
)
def test_the_operator_may_allow_hosts_and_networks(
    monkeypatch: pytest.MonkeyPatch, listed: str, port: int, allowed: bool
) -> None:
    monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", listed)
    hosts = PrivateHosts.from_environment()
    assert hosts.allow("127.0.0.1", port, ipaddress.ip_address("127.0.0.1")) is allowed
