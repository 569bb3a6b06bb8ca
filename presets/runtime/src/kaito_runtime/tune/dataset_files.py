"""Finds the files of a dataset in a folder, and what they are."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from kaito_runtime.outcome import log
from kaito_runtime.tune.failures import invalid
from kaito_runtime.tune.sections import DatasetConfig

Format = Literal["parquet", "json", "csv", "arrow"]

EXTENSIONS: dict[str, Format] = {
    "parquet": "parquet",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "csv": "csv",
    "arrow": "arrow",
}
_COMPRESSED = ("gz",)
_ABOUT_DATA = ("dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json")
_HELD_BACK = re.compile(r"(^|[^a-z])(test|validation|valid|eval|dev)([^a-z]|$)")
_MAGIC: tuple[tuple[bytes, Format], ...] = ((b"PAR1", "parquet"), (b"ARROW1", "arrow"), (b"\xff\xff\xff\xff", "arrow"))
_CHUNK = 1 << 20
_REMEDY = (
    "Give parquet, json, jsonl, csv or arrow files, or name the file in DatasetConfig.dataset_path "
    "and its format in DatasetConfig.dataset_extension."
)


@dataclass(frozen=True)
class DatasetFiles:
    """Files of one format, in the order in which they are read."""

    format: Format
    files: tuple[Path, ...]
    root: Path
    saved: Path | None = None
    """The folder, when the datasets library wrote it (save_to_disk)."""

    def digest(self) -> str:
        """Over the content of the files, in order: the same data has the same digest wherever it lies."""
        digest = hashlib.sha256()
        for file in self.files:
            content = hashlib.sha256()
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    content.update(chunk)
            digest.update(content.digest())
        return f"sha256:{digest.hexdigest()}"

    def names(self) -> str:
        """The files for a message."""
        shown = [str(file.relative_to(self.root)) for file in self.files[:3]]
        return ", ".join(shown) + (f" and {len(self.files) - 3} more" if len(self.files) > 3 else "")


def find_dataset(data: Path, config: DatasetConfig) -> DatasetFiles:
    """The dataset that `config` names, or all files of the one format below `data`."""
    start = _named(data, config.dataset_path) if config.dataset_path else data
    if not start.exists():
        raise invalid(
            f"DatasetConfig.dataset_path: {start} does not exist" if config.dataset_path else f"{data} does not exist",
            f"There are: {_listing(data)}.",
        )
    wanted = _wanted(config.dataset_extension)
    root = start if start.is_dir() else start.parent
    if start.is_dir() and (saved := _saved_folder(start)) and wanted in (None, "arrow"):
        return DatasetFiles("arrow", tuple(sorted(saved.glob("*.arrow"))), root, saved)
    files = [start] if start.is_file() else _files_below(start)
    by_format: dict[Format, list[Path]] = {}
    for file in files:
        known = wanted if start.is_file() and wanted else format_of(file)
        if known and wanted in (None, known):
            by_format.setdefault(known, []).append(file)
    if not by_format:
        raise invalid(
            f"no dataset in {start}{f' with the format {wanted}' if wanted else ''}: found {_listing(start)}", _REMEDY
        )
    if len(by_format) > 1:
        found = "; ".join(f"{name}: {', '.join(file.name for file in group[:3])}" for name, group in by_format.items())
        raise invalid(f"{start} has files of several formats ({found})", _REMEDY)
    ((format_, group),) = by_format.items()
    return DatasetFiles(format_, tuple(_for_training(group, root)), root)


def format_of(file: Path) -> Format | None:
    """By the extension, else by a format's name in the file's name, else by the first bytes. A query does not count."""
    name = file.name.split("?")[0].lower()
    parts = name.split(".")[1:]
    if parts and parts[-1] in _COMPRESSED:
        parts.pop()
    if parts and parts[-1] in EXTENSIONS:
        return EXTENSIONS[parts[-1]]
    if parts and parts[-1] in ("md", "txt", "py", "yaml", "yml", "lock", "part", "etag"):
        return None
    for word, format_ in EXTENSIONS.items():
        if word in name:
            return format_
    with file.open("rb") as stream:
        head = stream.read(64)
    for magic, format_ in _MAGIC:
        if head.startswith(magic):
            return format_
    return "json" if head.lstrip()[:1] in (b"{", b"[") else None


def _named(data: Path, named: str) -> Path:
    path = Path(named)
    if path.is_absolute():
        inside = path.resolve().is_relative_to(Path("/mnt")) or path.resolve().is_relative_to(data.resolve())
    else:
        path = data / path
        inside = path.resolve().is_relative_to(data.resolve())
    if not inside:
        raise invalid(f"DatasetConfig.dataset_path: {named} is not under /mnt", f"Name a file or folder under {data}.")
    return path


def _wanted(extension: str | None) -> Format | None:
    if extension is None:
        return None
    known = EXTENSIONS.get(extension.lower().lstrip("."))
    if known is None:
        raise invalid(
            f"DatasetConfig.dataset_extension: {extension} is none of {', '.join(EXTENSIONS)}",
            "Convert the dataset to one of these formats.",
        )
    return known


def _saved_folder(start: Path) -> Path | None:
    """A folder that `Dataset.save_to_disk` or `DatasetDict.save_to_disk` wrote, here or just below."""
    candidates = [start, *sorted(folder for folder in start.iterdir() if folder.is_dir())]
    for folder in candidates:
        if (folder / "dataset_dict.json").is_file() and (folder / "train" / "state.json").is_file():
            return folder / "train"
        if (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file():
            return folder
    return None


def _files_below(folder: Path) -> list[Path]:
    """Without hidden files, and through links: Kubernetes' volumes consist of them."""
    files = []
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.name not in _ABOUT_DATA and path.name != "lost+found":
            files.append(path)
    return files


def _for_training(files: list[Path], root: Path) -> list[Path]:
    """What is named as a test or validation set is not trained on when there is something else."""
    held_back = [file for file in files if _HELD_BACK.search(str(file.relative_to(root)).lower())]
    rest = [file for file in files if file not in held_back]
    if held_back and rest and any("train" in file.name.lower() or "train" in file.parent.name.lower() for file in rest):
        log(f"not trained on, by their names: {', '.join(file.name for file in held_back)}")
        return rest
    return files


def _listing(folder: Path) -> str:
    base = folder if folder.is_dir() else folder.parent
    names = (
        [str(path.relative_to(base)) for path in sorted(base.rglob("*")) if path.is_file()][:6] if base.is_dir() else []
    )
    return ", ".join(names) if names else "nothing"
