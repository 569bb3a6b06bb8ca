"""The lists of what the image is made of, each by the script that the Dockerfile runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

RUNTIME = Path(__file__).resolve().parents[2]
SPDX_ID = re.compile(r"^SPDXRef-[a-zA-Z0-9.-]+$")


def listed(*command: str, **environment: str) -> dict[str, Any]:
    printed = subprocess.run(
        [*command], env={**os.environ, **environment}, check=True, capture_output=True, text=True, timeout=60
    ).stdout
    document: dict[str, Any] = json.loads(printed)
    return document


def python_list(**environment: str) -> dict[str, Any]:
    return listed(sys.executable, str(RUNTIME / "sbom" / "python.py"), **environment)


def debian_list(folder: Path, *stanzas: str) -> dict[str, Any]:
    """Of a system that has these packages, as dpkg writes them down."""
    (folder / "status").write_text("\n".join(stanzas), encoding="utf-8")
    return listed("sh", str(RUNTIME / "sbom" / "debian"), DPKG_ADMINDIR=str(folder))


def stanza(
    name: str, version: str, status: str = "install ok installed", *, architecture: str = "amd64", source: str = ""
) -> str:
    more = f"Source: {source}\n" if source else ""
    return (
        f'Package: {name}\nStatus: {status}\nMaintainer: A "B" <c@example.com>\n'
        f"Architecture: {architecture}\n{more}Version: {version}\nDescription: it\n"
    )


def assert_sound(document: dict[str, Any]) -> None:
    """What SPDX 2.3 demands of a document whose files were not looked at."""
    assert document["spdxVersion"] == "SPDX-2.3"
    assert document["dataLicense"] == "CC0-1.0"
    assert document["SPDXID"] == "SPDXRef-DOCUMENT"
    assert re.fullmatch(r"https://\S+-[0-9a-f]{64}", document["documentNamespace"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", document["creationInfo"]["created"])
    ids = [package["SPDXID"] for package in document["packages"]]
    assert [one for one in ids if not SPDX_ID.match(one)] == []
    assert len(set(ids)) == len(ids) > 0
    described = [relationship["relatedSpdxElement"] for relationship in document["relationships"]]
    assert sorted(described) == sorted(ids)


def purls(document: dict[str, Any]) -> list[str]:
    return [reference["referenceLocator"] for package in document["packages"] for reference in package["externalRefs"]]


def test_lists_every_package_that_the_runtime_pins_in_its_version() -> None:
    document = python_list()
    assert_sound(document)
    have = {(package["name"], package["versionInfo"]) for package in document["packages"]}
    pinned = re.findall(r"^([a-z0-9-]+)==(\S+)$", (RUNTIME / "requirements" / "runtime.txt").read_text(), re.MULTILINE)
    assert len(pinned) > 3
    assert set(pinned) - have == set()
    assert {("vllm", distribution("vllm").version), ("torch", distribution("torch").version)} <= have


def test_writes_versions_as_package_urls_want_them() -> None:
    assert f"pkg:pypi/vllm@{distribution('vllm').version.replace('+', '%2B')}" in purls(python_list())


def test_the_same_packages_at_the_same_time_make_the_same_list() -> None:
    first, second = (python_list(SOURCE_DATE_EPOCH="1700000000") for _ in range(2))
    assert first == second
    assert first["creationInfo"]["created"] == "2023-11-14T22:13:20Z"


def test_lists_debian_packages_with_their_sources_and_none_that_was_removed(tmp_path: Path) -> None:
    document = debian_list(
        tmp_path,
        stanza("libstdc++6", "12.2.0-14+deb12u1", source="gcc-12"),
        stanza("tzdata", "2026b-0", architecture="all"),
        stanza("passwd", "1:4.13+dfsg1-1", source="shadow (1:4.13)"),
        stanza("gone", "1.0", "deinstall ok config-files"),
    )
    assert_sound(document)
    assert [(package["name"], package["versionInfo"]) for package in document["packages"]] == [
        ("libstdc++6", "12.2.0-14+deb12u1"),
        ("passwd", "1:4.13+dfsg1-1"),
        ("tzdata", "2026b-0"),
    ]
    assert [re.sub("distro=[^&]*", "distro=it", purl.split("/", 2)[2]) for purl in purls(document)] == [
        "libstdc%2B%2B6@12.2.0-14%2Bdeb12u1?arch=amd64&distro=it&upstream=gcc-12%4012.2.0-14%2Bdeb12u1",
        "passwd@1%3A4.13%2Bdfsg1-1?arch=amd64&distro=it&upstream=shadow%401%3A4.13",
        "tzdata@2026b-0?arch=all&distro=it",
    ]


def test_refuses_a_system_without_packages(tmp_path: Path) -> None:
    (tmp_path / "status").touch()
    ended = subprocess.run(
        ["sh", str(RUNTIME / "sbom" / "debian")],
        env={**os.environ, "DPKG_ADMINDIR": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == "sbom/debian: dpkg knows of no installed package\n"
