"""Which addresses a dataset may come from."""

from __future__ import annotations

import ipaddress
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.tune.addresses import PrivateHosts, is_public, resolve

ADDRESSES = json.loads((Path(__file__).parent / "addresses.json").read_text(encoding="utf-8"))
"""The same table tests the worker."""


@pytest.mark.parametrize("address", ADDRESSES["notPublic"])
def test_what_is_inside_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ADDRESSES["public"])
def test_what_is_outside_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["2852039166", "0251.0376.0251.0376", "0xA9FEA9FE", "169.254.43518", "0xa9.254.0251.254"],
)
def test_a_number_in_another_notation_is_the_address_that_it_means(host: str) -> None:
    with pytest.raises(RuntimeFailure, match=r"is 169\.254\.169\.254, a private address"):
        resolve(host, 80, PrivateHosts(frozenset(), ()))


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


@pytest.mark.parametrize("listed", ADDRESSES["notNetworks"])
def test_what_is_no_network_is_refused_rather_than_taken_for_a_name(
    monkeypatch: pytest.MonkeyPatch, listed: str
) -> None:
    monkeypatch.setenv("KAITO_DATASET_PRIVATE_HOSTS", f"store:9000, {listed}")
    with pytest.raises(RuntimeFailure) as caught:
        PrivateHosts.from_environment()
    assert caught.value.message == f"KAITO_DATASET_PRIVATE_HOSTS: '{listed}' is no network"
    assert caught.value.remedy is not None
