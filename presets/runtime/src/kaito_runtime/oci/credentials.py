"""Credentials from Docker config files, as Kubernetes mounts them from Secrets (kubernetes.io/dockerconfigjson)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from .reference import DOCKER_HUB, Reference


@dataclass(frozen=True)
class Credential:
    """One way to say who asks; `source` may be printed, the rest never is."""

    source: str
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    identity_token: str | None = field(default=None, repr=False)
    """Exchanged for an access token (OAuth2 refresh token), as `az acr login` leaves it."""
    registry_token: str | None = field(default=None, repr=False)
    """Sent as it is."""

    @property
    def basic(self) -> str | None:
        if self.username is None or self.password is None:
            return None
        return base64.b64encode(f"{self.username}:{self.password}".encode()).decode()


ANONYMOUS = Credential("anonymous")


@dataclass(frozen=True)
class Unusable:
    """Why a file has no credential for the registry; for the message when all failed."""

    source: str
    reason: str


def candidates(folder: Path | None, reference: Reference) -> Iterator[Credential | Unusable]:
    """Anonymous first, then each `*.json` of the folder in the order of their names."""
    yield ANONYMOUS
    if folder is None:
        return
    files = sorted(folder.glob("*.json"))
    if not files:
        yield Unusable(str(folder), "has no *.json file")
    for file in files:
        yield _from_file(file, reference)


def _from_file(file: Path, reference: Reference) -> Credential | Unusable:
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        # The text of a JSON error may quote the file, so only its kind is told.
        return Unusable(file.name, f"cannot be read as JSON ({type(error).__name__})")
    auths = config.get("auths") if isinstance(config, dict) else None
    if not isinstance(auths, dict):
        return Unusable(file.name, "is not a Docker config: it has no `auths`")
    # The longest key is the most specific one: a path below the registry wins over the registry.
    for key in sorted(auths, key=len, reverse=True):
        if _matches(key, reference) and isinstance(auths[key], dict):
            return _credential(file.name, auths[key])
    return Unusable(file.name, f"has no entry for {reference.registry}")


def _matches(key: str, reference: Reference) -> bool:
    """Whether an entry is meant for the image.

    A key is `host[:port]`, maybe with a path below it, a scheme (docker login writes one) or * (kubelet allows it).
    """
    host, _, path = key.split("://", 1)[-1].partition("/")
    path = path.strip("/")
    if host in {f"index.{DOCKER_HUB}", f"registry-1.{DOCKER_HUB}"}:
        host = DOCKER_HUB
    if not (host == reference.registry or (("*" in host) and fnmatchcase(reference.registry, host))):
        return False
    if path in {"", "v1", "v2"}:
        return True
    return reference.repository == path or reference.repository.startswith(f"{path}/")


def _credential(source: str, entry: Mapping[str, Any]) -> Credential | Unusable:
    username, password = entry.get("username"), entry.get("password")
    if entry.get("auth"):
        try:
            decoded = base64.b64decode(str(entry["auth"]), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return Unusable(source, "has an `auth` that is not base64 of user:password")
        username, _, password = decoded.rstrip("\0").partition(":")
    identity, registry = entry.get("identitytoken") or None, entry.get("registrytoken") or None
    if identity is None and registry is None and not (username and password):
        return Unusable(source, "has an entry without user and password")
    return Credential(source, username or None, password or None, identity, registry)
