"""An adapter as an OCI image: KAITO's contract is `/data/adapter_config.json` and `/data/adapter_model.safetensors`."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import struct
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..outcome import RuntimeFailure

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"

FILES = ("adapter_config.json", "adapter_model.safetensors")
# Weights hardly compress, so more effort would cost time only. The bytes depend on the level: keep it, or the same
# adapter gets another digest.
_GZIP_LEVEL = 1
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Blob:
    """Something to upload, described as a manifest does."""

    file: Path
    media_type: str
    digest: str
    size: int

    @property
    def descriptor(self) -> dict[str, Any]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class Artifact:
    layer: Blob
    config: Blob
    manifest: bytes

    @property
    def digest(self) -> str:
        return _sha256(self.manifest)


def check(folder: Path) -> None:
    """Raises RuntimeFailure (InvalidInput) unless the folder holds a whole adapter."""
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise RuntimeFailure(
            "InvalidInput",
            f"--from={folder} lacks {' and '.join(missing)}: there is no finished adapter in it",
            remedy="Train first: the files are written when training ends.",
        )
    try:
        _check_config(folder / FILES[0])
        _check_safetensors(folder / FILES[1])
    except (ValueError, struct.error) as error:
        raise RuntimeFailure("InvalidInput", f"--from={folder} holds no adapter of PEFT: {error}") from error


def _check_config(file: Path) -> None:
    config = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(config, dict) or "peft_type" not in config:
        raise ValueError(f"{file.name} has no peft_type")


def _check_safetensors(file: Path) -> None:
    """A file that was cut off in the middle is found here rather than when it is served."""
    with file.open("rb") as opened:
        (header_bytes,) = struct.unpack("<Q", opened.read(8))
        header = json.loads(opened.read(header_bytes)) if header_bytes < file.stat().st_size else None
    if not isinstance(header, dict):
        raise ValueError(f"{file.name} is cut off")  # noqa: TRY004
    ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
    if file.stat().st_size != 8 + header_bytes + max(ends, default=0):
        raise ValueError(f"{file.name} is cut off")


def build(folder: Path, work: Path, annotations: Mapping[str, str]) -> Artifact:
    """Makes layer and config below `work`. The same files and annotations lead to the same bytes, whenever that is."""
    layer_file = work / "layer.tar.gz"
    with layer_file.open("wb") as raw:
        stored = _Hashing(raw)
        # Without name and time, which gzip would put into its header.
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_GZIP_LEVEL, fileobj=stored, mtime=0) as zipped:
            plain = _Hashing(zipped)
            _write_tar(folder, plain)
    layer = Blob(layer_file, LAYER_TYPE, stored.digest, stored.size)

    config = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": {"Labels": dict(sorted(annotations.items()))},
        "rootfs": {"type": "layers", "diff_ids": [plain.digest]},
        "history": [{"created_by": "kaito-runtime push", "comment": "/data: adapter"}],
    }
    config_file = work / "config.json"
    config_bytes = _json(config)
    config_file.write_bytes(config_bytes)
    config_blob = Blob(config_file, CONFIG_TYPE, _sha256(config_bytes), len(config_bytes))

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config_blob.descriptor,
        "layers": [layer.descriptor],
        "annotations": dict(sorted(annotations.items())),
    }
    return Artifact(layer, config_blob, _json(manifest))


def _write_tar(folder: Path, to: IO[bytes] | _Hashing) -> None:
    with tarfile.open(fileobj=to, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        data = tarfile.TarInfo("data")
        data.type, data.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(data)
        for name in FILES:
            entry = tarfile.TarInfo(f"data/{name}")
            entry.size, entry.mode = (folder / name).stat().st_size, 0o644
            with (folder / name).open("rb") as content:
                tar.addfile(entry, content)


class _Hashing(io.RawIOBase):
    """Writes through and keeps digest and size of what went by."""

    def __init__(self, to: Any) -> None:
        super().__init__()
        self._to = to
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._to.write(data)
        self._hash.update(data)
        self.size += len(data)
        return len(data)

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
