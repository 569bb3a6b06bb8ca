"""Weights from the Hugging Face hub, downloaded before vLLM starts, to tell progress and the cause of a failure.

What is downloaded is what vLLM would read; it then gets the folder instead of the name and needs the hub no more.
"""

from __future__ import annotations

import errno
import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kaito_runtime.outcome import RuntimeFailure, log

if TYPE_CHECKING:
    from kaito_runtime.serve.progress import Progress

_COMMIT = re.compile(r"[0-9a-f]{40}")
_HF_PATTERNS = ("*.safetensors", "*.bin", "*.pt")
# By --load-format, in the order in which vLLM tries them (vllm/model_executor/model_loader/default_loader.py).
PATTERNS: dict[str, tuple[str, ...]] = {
    "auto": ("consolidated*.safetensors", *_HF_PATTERNS),
    "hf": _HF_PATTERNS,
    "bitsandbytes": _HF_PATTERNS,
    "safetensors": ("*.safetensors",),
    "fastsafetensors": ("*.safetensors",),
    "instanttensor": ("*.safetensors",),
    "mistral": ("consolidated*.safetensors",),
    "npcache": ("*.bin",),
    "pt": ("*.pt",),
    "dummy": (),
}
_INDEX = "model.safetensors.index.json"
# Weights in other formats, and what is there for people.
_NOT_NEEDED = re.compile(
    r"\.(safetensors|bin|pt|pth|ckpt|gguf|onnx|onnx_data|h5|msgpack|ot|tflite|mlmodel|pb|npz|zip|tar|gz|"
    r"png|jpe?g|gif|webp|svg|mp4|mp3|wav|pdf)$",
    re.IGNORECASE,
)
# Modules of sentence-transformers, such as 2_Dense/model.safetensors, are weights beside the model's own.
_MODULE = re.compile(r"\d+_[A-Za-z]+/[^/]+\.safetensors")


@dataclass(frozen=True)
class HubFile:
    path: str
    size: int


def select_files(files: Sequence[HubFile], load_format: str, indexed: Sequence[str] | None) -> list[HubFile]:
    """The files of a repository that vLLM reads: the first kind of weights that there is, and all small files.

    `indexed` lists the weight files that the index of safetensors names, where there is one.
    """
    usable = [file for file in files if not file.path.startswith("original/")]
    selected = [file for file in usable if not _NOT_NEEDED.search(file.path) or _MODULE.fullmatch(file.path)]
    for pattern in PATTERNS[load_format]:
        weights = [file for file in usable if "/" not in file.path and fnmatchcase(file.path, pattern)]
        if not weights:
            continue
        if pattern == "*.safetensors" and indexed:
            weights = [file for file in usable if file.path in indexed]
        return selected + weights
    if PATTERNS[load_format]:
        raise RuntimeFailure(
            "NotSupported",
            f"the repository has no weights of --load-format={load_format}: no {', '.join(PATTERNS[load_format])}",
        )
    return selected


def download(model: str, revision: str | None, load_format: str, directory: Path, progress: Progress) -> Path:
    """Downloads a model and returns the folder with its files. What an interrupted download left is gone on with."""
    import huggingface_hub

    name = revision or "main"
    storage = directory / f"models--{model.replace('/', '--')}"
    known = _finished(storage, name, load_format)
    if known is not None and _COMMIT.fullmatch(name):
        return known
    try:
        directory.mkdir(parents=True, exist_ok=True)
        info = huggingface_hub.HfApi().model_info(model, revision=name, files_metadata=True)
        commit = info.sha or name
        files = [HubFile(sibling.rfilename, sibling.size or 0) for sibling in info.siblings or []]
        indexed = _indexed(model, commit, directory) if any(file.path == _INDEX for file in files) else None
        selected = select_files(files, load_format, indexed)
        total = sum(file.size for file in selected)
        _need_room(directory, model, total, progress.start(storage / "blobs", total))
        folder = Path(
            huggingface_hub.snapshot_download(
                model, revision=commit, cache_dir=directory, allow_patterns=[_literal(file.path) for file in selected]
            )
        )
    except RuntimeFailure:
        raise
    except Exception as error:
        failure = hub_failure(error, model, name, directory)
        if known is not None and failure.cause == "HubUnavailable":
            log(f"{failure.message}; the copy that is here already is served")
            return known
        raise failure from error
    missing = [file.path for file in selected if not (folder / file.path).exists()]
    if missing:
        raise RuntimeFailure(
            "HubUnavailable", f"model {model}: the hub did not give {', '.join(missing)}", retryable=True
        )
    _finish(storage, name, load_format, commit, selected)
    return folder


def hub_failure(error: Exception, model: str, revision: str, directory: Path) -> RuntimeFailure:
    """What went wrong between this program and the hub, as a user can use it."""
    from huggingface_hub import errors

    # The library tells some failures of the hub as "not found here", with the real one behind it.
    source: BaseException = error
    while isinstance(source, errors.LocalEntryNotFoundError) and source.__cause__ is not None:
        source = source.__cause__
    status = getattr(getattr(source, "response", None), "status_code", None)
    if isinstance(source, errors.HFValidationError):
        return RuntimeFailure("InvalidInput", f"--model={model}: neither a folder nor a name of the hub: {source}")
    if isinstance(source, errors.RevisionNotFoundError):
        return RuntimeFailure("InvalidInput", f"--revision={revision}: model {model} has no such revision on the hub")
    if isinstance(source, errors.GatedRepoError) or status in (401, 403):
        return RuntimeFailure(
            "HubDenied",
            f"model {model}: the hub refuses access (HTTP {status}): {_first_line(source)}",
            retryable=True,
        )
    if isinstance(source, errors.RepositoryNotFoundError):
        return RuntimeFailure(
            "InvalidInput", f"--model={model}: the hub has no such model, or hides it from this token"
        )
    if isinstance(source, OSError) and source.errno in (errno.ENOSPC, errno.EDQUOT):
        return RuntimeFailure(
            "DoesNotFit", f"model {model}: no space left in {directory} during the download", retryable=True
        )
    if isinstance(source, OSError) and source.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return RuntimeFailure("InvalidInput", f"--download-dir={directory}: can't be written: {_first_line(source)}")
    return RuntimeFailure(
        "HubUnavailable", f"model {model}: {type(source).__name__}: {_first_line(source)}", retryable=True
    )


def _need_room(directory: Path, model: str, total: int, present: int) -> None:
    """A disk that is too small is told before hours of download, not after."""
    free = shutil.disk_usage(directory).free
    missing = total - present - free
    if missing > 0:
        raise RuntimeFailure(
            "DoesNotFit",
            f"model {model} needs {gib(total)} in {directory}, there are {gib(present)} of it and {gib(free)} free",
            remedy="Choose a size with a larger disk, or give the volume of the weights more space.",
            retryable=True,
        )


def gib(size: float) -> str:
    return f"{size / 2**30:.2f} GiB"


def _indexed(model: str, commit: str, directory: Path) -> list[str] | None:
    import huggingface_hub

    path = huggingface_hub.hf_hub_download(model, _INDEX, revision=commit, cache_dir=directory)
    weights: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8")).get("weight_map", {})
    return sorted({str(file) for file in weights.values()})


def _literal(path: str) -> str:
    """A path as a pattern that matches it alone."""
    return re.sub(r"([*?\[])", r"[\1]", path)


def _record(storage: Path, revision: str, load_format: str) -> Path:
    return storage / f"complete-{revision.replace('/', '--')}-{load_format}.json"


def _finish(storage: Path, revision: str, load_format: str, commit: str, files: Sequence[HubFile]) -> None:
    """Notes that everything is there: a container that starts again needs no hub then."""
    record = _record(storage, revision, load_format)
    partial = record.with_suffix(".partial")
    partial.write_text(json.dumps({"commit": commit, "files": [file.path for file in files]}), encoding="utf-8")
    partial.replace(record)


def _finished(storage: Path, revision: str, load_format: str) -> Path | None:
    try:
        record = json.loads(_record(storage, revision, load_format).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    folder = storage / "snapshots" / str(record["commit"])
    return folder if all((folder / str(path)).exists() for path in record["files"]) else None


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2]) if lines else repr(error)
