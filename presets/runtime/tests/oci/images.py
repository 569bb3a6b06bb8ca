"""Makes images of given entries and puts them into a registry, so that pull-image meets what others may have made."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow
import requests

LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

Entry = bytes | str | tarfile.TarInfo | None
"""A file's content, a symbolic link's target, anything else as it is, or None for a folder."""


@dataclass
class Image:
    """Layers from the bottom up."""

    layers: Sequence[Mapping[str, Entry]] = ()
    packed: str = "gzip"
    raw: Sequence[bytes] = field(default_factory=list)
    """Layers as they are, in place of `layers`."""


def link(target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type, info.linkname = tarfile.LNKTYPE, target
    return info


def pipe() -> tarfile.TarInfo:
    info = tarfile.TarInfo()
    info.type = tarfile.FIFOTYPE
    return info


def layer(entries: Mapping[str, Entry], packed: str = "gzip") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, entry in entries.items():
            info = entry if isinstance(entry, tarfile.TarInfo) else tarfile.TarInfo()
            info.name = name
            info.mode = 0o755 if name.endswith(".sh") else 0o600
            if isinstance(entry, bytes):
                info.size = len(entry)
                tar.addfile(info, io.BytesIO(entry))
                continue
            if isinstance(entry, str):
                info.type, info.linkname = tarfile.SYMTYPE, entry
            elif entry is None:
                info.type = tarfile.DIRTYPE
            tar.addfile(info)
    content = buffer.getvalue()
    if packed == "gzip":
        return gzip.compress(content)
    if packed == "zstd":
        return bytes(pyarrow.Codec("zstd").compress(content))
    return content


def put_image(host: str, name: str, image: Image, *, tag: str | None = "v1") -> dict[str, Any]:
    """Puts the image and returns its descriptor."""
    blobs = list(image.raw) or [layer(entries, image.packed) for entries in image.layers]
    config = b"{}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": _put_blob(host, name, config, "application/vnd.oci.image.config.v1+json"),
        "layers": [_put_blob(host, name, blob, LAYER) for blob in blobs],
    }
    return put_manifest(host, name, manifest, MANIFEST, tag)


def put_manifest(host: str, name: str, manifest: Mapping[str, Any], kind: str, tag: str | None) -> dict[str, Any]:
    content = json.dumps(manifest).encode()
    descriptor = _descriptor(content, kind)
    url = f"http://{host}/v2/{name}/manifests/{tag or descriptor['digest']}"
    requests.put(url, data=content, headers={"Content-Type": kind}, timeout=30).raise_for_status()
    return descriptor


def _put_blob(host: str, name: str, content: bytes, kind: str) -> dict[str, Any]:
    descriptor = _descriptor(content, kind)
    start = requests.post(f"http://{host}/v2/{name}/blobs/uploads/", timeout=30)
    start.raise_for_status()
    put = requests.put(start.headers["Location"], params={"digest": descriptor["digest"]}, data=content, timeout=30)
    put.raise_for_status()
    return descriptor


def _descriptor(content: bytes, kind: str) -> dict[str, Any]:
    return {"mediaType": kind, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
