"""Where an image lies: `registry/repository:tag` or `registry/repository@digest`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from ..outcome import RuntimeFailure

DOCKER_HUB = "docker.io"
_DOCKER_HUB_API = "registry-1.docker.io"

_HOST = re.compile(r"^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:]+\])(?::[0-9]{1,5})?$")
# The two patterns of the OCI distribution specification.
_REPOSITORY = re.compile(r"^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$")
_TAG = re.compile(r"^\w[\w.-]{0,127}$", re.ASCII)
_DIGEST = re.compile(r"^sha256:[0-9a-f]{64}$")


@dataclass(frozen=True)
class Reference:
    """A parsed reference; `host` is where the registry's API answers."""

    registry: str
    repository: str
    tag: str | None
    digest: str | None

    @property
    def host(self) -> str:
        return _DOCKER_HUB_API if self.registry == DOCKER_HUB else self.registry

    @property
    def insecure(self) -> bool:
        """Whether the registry is one of those that are spoken to in plain HTTP."""
        listed = os.environ.get("KAITO_INSECURE_REGISTRIES", "")
        return self.registry in {entry.strip() for entry in listed.split(",")}

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.repository}"

    @property
    def version(self) -> str:
        """Tag or digest, as the manifest's address has it."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}{f'@{self.digest}' if self.digest else ''}"


def parse(text: str) -> Reference:
    """Parses as Docker does: no registry means Docker Hub, neither tag nor digest means `latest`.

    Raises RuntimeFailure (InvalidInput) that says which part is wrong.
    """
    rest, _, digest = text.partition("@")
    if digest and not _DIGEST.match(digest):
        raise _invalid(text, f"the digest {digest!r} is not sha256: and 64 hexadecimal digits")
    first, slash, after = rest.partition("/")
    named = bool(slash) and ("." in first or ":" in first or first == "localhost")
    registry, path = (first, after) if named else (DOCKER_HUB, rest)
    if registry == f"index.{DOCKER_HUB}":
        registry = DOCKER_HUB
    if not _HOST.match(registry):
        raise _invalid(text, f"the registry {registry!r} is no host[:port]")
    repository, _, tag = path.partition(":")
    if registry == DOCKER_HUB and "/" not in repository:
        repository = f"library/{repository}"
    if not _REPOSITORY.match(repository):
        raise _invalid(
            text, f"the repository {repository!r} may only have small letters, digits and . _ - / between them"
        )
    if ":" in path and not _TAG.match(tag):
        raise _invalid(text, f"the tag {tag!r} may have at most 128 letters, digits and . _ -")
    return Reference(registry, repository, tag or (None if digest else "latest"), digest or None)


def _invalid(text: str, why: str) -> RuntimeFailure:
    return RuntimeFailure(
        "InvalidInput",
        f"image {text!r} is not a reference of an image: {why}",
        remedy="Write it as registry/repository:tag, such as example.azurecr.io/team/adapter:v1.",
    )
