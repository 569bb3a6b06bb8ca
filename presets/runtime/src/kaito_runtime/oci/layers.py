"""Applies an image's layers, in order, to a folder: only what lies under one path of the image, whiteouts included."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

import pyarrow

from ..outcome import RuntimeFailure

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_COPY_BYTES = 1 << 20
_FOLDERS_TOLD = 20


class Tree:
    """What the layers make of `path`, in `folder`, which is empty at first.

    Nothing is ever written or linked outside of `folder`: a layer that tries is refused (RuntimeFailure, InvalidInput).
    """

    def __init__(self, path: str, folder: Path) -> None:
        self._path = _parts(path)
        self._folder = folder
        self._seen: set[str] = set()
        self.found = False
        """Whether the image has `path`."""

    def apply(self, layer: IO[bytes]) -> None:
        """One layer's tar, compressed or not. Raises tarfile.TarError when it is none."""
        mine: set[tuple[str, ...]] = set()
        buffered = io.BufferedReader(layer, _COPY_BYTES)  # type: ignore[type-var]
        try:
            with tarfile.open(fileobj=_plain(buffered), mode="r|") as tar:
                for member in tar:
                    self._apply(tar, member, mine)
        finally:
            buffered.detach()  # its end would close the layer, which the caller still reads to its end

    def folders(self) -> Iterator[str]:
        """Folders that the image has, for a message: the first two levels."""
        for number, name in enumerate(sorted(self._seen)):
            if number == _FOLDERS_TOLD:
                yield "…"
                return
            yield name

    def _apply(self, tar: tarfile.TarFile, member: tarfile.TarInfo, mine: set[tuple[str, ...]]) -> None:
        parts = _parts(member.name)
        if not parts:
            return
        *parent, name = parts
        if name.startswith(_WHITEOUT):
            gone = tuple(parent) if name == _OPAQUE else (*parent, name.removeprefix(_WHITEOUT))
            self._hide(gone, mine, itself=name != _OPAQUE)
            return
        self._note(parts, member)
        inside = self._inside(parts)
        if inside is None:
            return
        if not inside and not member.isdir():
            kind = "symbolic link" if member.issym() else "file"
            raise _refused(f"{_absolute(self._path)} is a {kind} there, not a folder")
        self.found = True
        for depth in range(len(inside) + 1):
            mine.add(inside[:depth])
        self._write(tar, member, inside)

    def _note(self, parts: tuple[str, ...], member: tarfile.TarInfo) -> None:
        folder = parts if member.isdir() else parts[:-1]
        for depth in range(1, min(2, len(folder)) + 1):
            self._seen.add(_absolute(folder[:depth]))

    def _inside(self, parts: tuple[str, ...]) -> tuple[str, ...] | None:
        return parts[len(self._path) :] if parts[: len(self._path)] == self._path else None

    def _hide(self, gone: tuple[str, ...], mine: set[tuple[str, ...]], *, itself: bool) -> None:
        """Removes what lower layers put there; what this layer has itself stays, whatever the order of its entries."""
        inside = self._inside(gone)
        if inside is None and self._path[: len(gone)] != gone:
            return
        if inside and itself and inside not in mine:
            _remove(self._place(inside))
            return
        if not inside and (itself or inside is None) and () not in mine:
            self.found = False  # the path itself, or a folder that it is in
        inside = inside or ()
        folder = self._place(inside)
        if folder.is_dir() and not folder.is_symlink():
            self._clear(folder, inside, mine)

    def _clear(self, folder: Path, inside: tuple[str, ...], mine: set[tuple[str, ...]]) -> None:
        for child in list(folder.iterdir()):
            at = (*inside, child.name)
            if at not in mine:
                _remove(child)
            elif child.is_dir() and not child.is_symlink():
                self._clear(child, at, mine)

    def _place(self, inside: tuple[str, ...]) -> Path:
        """Where an entry goes. Its parents are real folders: a symbolic link among them would lead elsewhere."""
        place = self._folder
        for part in inside[:-1]:
            place = place / part
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                raise _refused(f"{'/'.join(inside)} lies below {part}, which is no folder")
        return place / inside[-1] if inside else place

    def _write(self, tar: tarfile.TarFile, member: tarfile.TarInfo, inside: tuple[str, ...]) -> None:
        place = self._place(inside)
        place.parent.mkdir(parents=True, exist_ok=True)
        if member.isdir():
            if place.is_symlink() or (place.exists() and not place.is_dir()):
                place.unlink()
            place.mkdir(exist_ok=True)
            return
        _remove(place)
        if member.issym():
            self._check_target(inside, member.linkname)
            place.symlink_to(member.linkname)
        elif member.islnk():
            self._hard_link(place, member.linkname)
        elif member.isreg():
            content = tar.extractfile(member)
            assert content is not None  # noqa: S101 - a regular file has content
            with content, place.open("xb") as file:
                shutil.copyfileobj(content, file, _COPY_BYTES)
            # Whoever serves it may be another user than the one who pulls it.
            place.chmod(0o644 | (member.mode & 0o111))
        else:
            raise _refused(f"{member.name} is a device or a pipe")

    def _check_target(self, inside: tuple[str, ...], target: str) -> None:
        if PurePosixPath(target).is_absolute():
            raise _refused(f"{'/'.join(inside)} is a link to {target}, outside of {_absolute(self._path)}")
        depth = len(inside) - 1
        for part in PurePosixPath(target).parts:
            depth += -1 if part == ".." else 1
            if depth < 0:
                raise _refused(f"{'/'.join(inside)} is a link to {target}, outside of {_absolute(self._path)}")

    def _hard_link(self, place: Path, target: str) -> None:
        inside = self._inside(_parts(target))
        if not inside:
            raise _refused(f"{place.name} is a link to {target}, outside of {_absolute(self._path)}")
        source = self._place(inside)
        if source.is_symlink() or not source.is_file():
            raise _refused(f"{place.name} is a link to {target}, which is no file")
        os.link(source, place)


def _parts(path: str) -> tuple[str, ...]:
    """The parts of a path in the image, `./` and the first slash left out."""
    parts = tuple(part for part in path.split("/") if part not in ("", "."))
    if ".." in parts:
        raise _refused(f"{path} has .. in it")
    return parts


def _absolute(parts: tuple[str, ...]) -> str:
    return f"/{'/'.join(parts)}"


def _remove(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def _plain(buffered: Any) -> Any:
    """The tar in the layer. Told by its first bytes: media types of older images are not always right."""
    magic = buffered.peek(4)[:4]
    if magic.startswith(_GZIP):
        return gzip.GzipFile(fileobj=buffered)
    if magic == _ZSTD:
        return pyarrow.CompressedInputStream(pyarrow.PythonFile(buffered, mode="r"), "zstd")
    return buffered


def _refused(why: str) -> RuntimeFailure:
    return RuntimeFailure("InvalidInput", f"the image cannot be unpacked: {why}")
