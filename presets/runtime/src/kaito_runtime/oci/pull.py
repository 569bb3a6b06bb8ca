"""pull-image --image=REF --path=PATH --to=DIR [--credentials=DIR]: copies one folder of an OCI image into a folder."""

from __future__ import annotations

import json
import lzma
import platform
import shutil
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import outcome
from ..outcome import RuntimeFailure, log
from .credentials import Credential, Unusable, candidates
from .download import BlobReader
from .errors import Denied, NotFound, Refused, Unavailable
from .layers import Tree
from .patience import PATIENCE_SECONDS
from .reference import Reference, parse
from .registry import DOCKER_LIST, INDEX, RegistryClient

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_PARTIAL = ".kaito-partial"
_MARKER = ".kaito-pulled"
"""Says what DIR holds."""


def main() -> None:
    outcome.run(program)


def program(arguments: Sequence[str] | None = None, *, patience_seconds: float = PATIENCE_SECONDS) -> Mapping[str, Any]:
    """What the program does; returns its result."""
    parser = outcome.ArgumentParser(prog="pull-image", description="Copies one folder of an OCI image.")
    parser.add_argument("--image", required=True, help="registry/repository:tag or …@sha256:digest")
    parser.add_argument("--path", required=True, help="folder within the image")
    parser.add_argument("--to", type=Path, required=True, help="where its content goes")
    parser.add_argument("--credentials", type=Path, help="folder with Docker config files, *.json")
    options = parser.parse_args(arguments)
    digest = _pull(parse(options.image), options.path, options.to, options.credentials, patience_seconds)
    return {"image": options.image, "digest": digest}


def _pull(reference: Reference, path: str, to: Path, credentials: Path | None, patience_seconds: float) -> str:
    """Digest of what was pulled. Each credential is tried until the registry takes one."""
    tried: list[str] = []
    for candidate in candidates(credentials, reference):
        if isinstance(candidate, Unusable):
            tried.append(f"{candidate.source} {candidate.reason}")
            continue
        try:
            return _pull_as(candidate, reference, path, to, patience_seconds)
        except (Denied, NotFound) as error:
            # Registries that hide what a stranger may not see answer 404.
            tried.append(f"{candidate.source}: {error}")
            log(f"{reference}: not as {candidate.source}: {error}")
        except Unavailable as error:
            raise RuntimeFailure(
                "ImagePull",
                f"registry {reference.registry} did not give {reference}: {error}",
                remedy=f"Check that {reference.registry} can be reached from the cluster; it is tried again.",
                retryable=True,
            ) from error
        except Refused as error:
            raise RuntimeFailure(
                "ImagePull", f"registry {reference.registry} gave no usable {reference}: {error}", retryable=True
            ) from error
    raise RuntimeFailure(
        "ImagePull",
        f"registry {reference.registry} has no {reference} for any of these: {'; '.join(tried)}",
        remedy="Check the image's name and tag, and that a pull secret has a credential for it.",
        retryable=True,
    )


def _pull_as(credential: Credential, reference: Reference, path: str, to: Path, patience_seconds: float) -> str:
    client = RegistryClient(reference, credential, patience_seconds=patience_seconds)
    digest, layers = _image(client)
    there = _marker(to)
    if (there.get("digest"), there.get("path")) == (digest, path):
        log(f"{to} already holds {path} of {digest}")
        return digest

    partial = to / _PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    tree = Tree(path, partial)
    for number, layer in enumerate(layers, start=1):
        log(f"layer {number} of {len(layers)}: {layer['digest']}, {layer.get('size', 0):,} bytes")
        _apply(tree, client, str(layer["digest"]))
    if not tree.found:
        shutil.rmtree(partial)
        raise RuntimeFailure(
            "InvalidInput",
            f"image {reference} has no folder {path}; it has {', '.join(tree.folders()) or 'no files'}",
            remedy="Build the image with the files in that folder.",
        )
    _take(partial, to, {"digest": digest, "path": path})
    log(f"{to} holds {path} of {digest}")
    return digest


def _apply(tree: Tree, client: RegistryClient, digest: str) -> None:
    with BlobReader(client, digest) as reader:
        try:
            tree.apply(reader)  # type: ignore[arg-type]
        except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # the disk, not the image
            # Bytes that were damaged on the way are told as such; otherwise the image itself is at fault.
            reader.finish()
            raise RuntimeFailure(
                "InvalidInput", f"layer {digest} is no tar archive, so this is no image of files: {error}"
            ) from error
        reader.finish()


def _image(client: RegistryClient) -> tuple[str, list[Mapping[str, Any]]]:
    """Digest of the manifest, and its layers; of an index the manifest for this machine."""
    found = client.manifest()
    if found is None:
        raise NotFound("it has no such tag or digest")
    digest, content = found
    manifest = _parsed(content)
    if manifest.get("mediaType") in (INDEX, DOCKER_LIST) or "manifests" in manifest:
        digest = _for_this_machine(manifest.get("manifests") or [])
        chosen = client.manifest(digest)
        if chosen is None:
            raise Refused(f"its index names {digest}, which it doesn't have")
        manifest = _parsed(chosen[1])
    layers = manifest.get("layers")
    if not isinstance(layers, list):
        raise Refused("its manifest has no layers")
    return digest, layers


def _for_this_machine(manifests: Sequence[Mapping[str, Any]]) -> str:
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    platforms = [entry.get("platform") or {} for entry in manifests]
    for entry, where in zip(manifests, platforms, strict=True):
        if where.get("os") == "linux" and where.get("architecture") == architecture:
            return str(entry["digest"])
    there = sorted({f"{where.get('os')}/{where.get('architecture')}" for where in platforms})
    raise RuntimeFailure(
        "InvalidInput", f"the image is not made for linux/{architecture}, only for {', '.join(there) or 'nothing'}"
    )


def _parsed(content: bytes) -> Mapping[str, Any]:
    try:
        manifest = json.loads(content)
    except ValueError as error:
        raise Refused("its manifest is no JSON") from error
    if not isinstance(manifest, dict):
        raise Refused("its manifest is no JSON object")
    return manifest


def _marker(to: Path) -> Mapping[str, Any]:
    """What an earlier run says that it left here."""
    try:
        told = json.loads((to / _MARKER).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _take(partial: Path, to: Path, complete: Mapping[str, str]) -> None:
    """Puts the new files in place of those that an earlier run left; files of others stay.

    DIR itself may be the mount of a volume, so it is filled rather than renamed, and the marker says when it is whole.
    """
    marker = to / _MARKER
    entries = sorted(entry.name for entry in partial.iterdir())
    ours = sorted({*entries, *_marker(to).get("entries", [])})
    _write(marker, {"entries": ours})  # without digest: not whole
    for name in ours:
        old = to / name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        else:
            old.unlink(missing_ok=True)
    for name in entries:
        (partial / name).rename(to / name)
    partial.rmdir()
    _write(marker, {**complete, "entries": entries})


def _write(file: Path, value: Mapping[str, Any]) -> None:
    temporary = file.with_name(f"{file.name}.new")
    temporary.write_text(json.dumps(value), encoding="utf-8")
    temporary.replace(file)
