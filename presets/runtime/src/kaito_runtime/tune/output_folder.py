"""The output folder: whose it is, which checkpoint to go on from, what a finished training leaves."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kaito_runtime.outcome import log
from kaito_runtime.tune.failures import invalid
from kaito_runtime.tune.files import digest_of, read_json, sync_folder, sync_tree, write_json, write_text

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")
COMPLETED = "fine_tuning_completed.txt"
MANIFEST = "manifest.json"
METRICS = "metrics.json"
MARK = "kaito_training.json"
"""In the folder: which training it is of. Written before anything else."""
CHECKPOINT_MARK = "kaito_checkpoint.json"
"""In a checkpoint: that it is whole. Written after everything else."""
SAVING = ".saving"

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True)
class Checkpoint:
    """A whole checkpoint, and what had been spent until then."""

    folder: Path
    step: int
    seconds: float
    tokens: int


@dataclass(frozen=True)
class OutputFolder:
    """The folder of one training, told from others by its fingerprint."""

    path: Path
    fingerprint: str

    def completed(self) -> dict[str, Any] | None:
        """The result of this very training when it is complete and its adapter is untouched."""
        if not (self.path / COMPLETED).is_file():
            return None
        manifest = read_json(self.path / MANIFEST)
        if manifest is None or manifest.get("fingerprint") != self.fingerprint:
            return None
        digests = manifest.get("files", {})
        for name in ADAPTER_FILES:
            file = self.path / name
            if not file.is_file() or digests.get(name) != digest_of(file):
                log(f"{file} is not as the training left it: training again")
                return None
        result = manifest.get("result")
        return result if isinstance(result, dict) else None

    def claim(self) -> None:
        """Makes the folder this training's. What another training of ours left is removed, what is not ours is not."""
        self.path.mkdir(parents=True, exist_ok=True)
        mark = read_json(self.path / MARK)
        if mark is not None and mark.get("fingerprint") == self.fingerprint:
            shutil.rmtree(self.path / SAVING, ignore_errors=True)
            return
        ours = mark is not None or "fingerprint" in (read_json(self.path / MANIFEST) or {})
        checkpoints = [folder for folder, _ in self._checkpoint_folders()]
        if checkpoints and not ours:
            raise invalid(
                f"{self.path} holds {checkpoints[0].name}, which another program made",
                "Empty the output volume, or set another TrainingArguments.output_dir.",
            )
        # The sign of completion goes first: without it, nobody takes the rest for a result.
        (self.path / COMPLETED).unlink(missing_ok=True)
        if ours:
            log(f"{self.path} holds another training (base model, method, parameters or data differ): beginning anew")
            for folder in checkpoints:
                shutil.rmtree(folder)
            for name in (*ADAPTER_FILES, MANIFEST, METRICS, "README.md"):
                (self.path / name).unlink(missing_ok=True)
        shutil.rmtree(self.path / SAVING, ignore_errors=True)
        write_json(self.path / MARK, {"fingerprint": self.fingerprint})

    def newest_checkpoint(self) -> Checkpoint | None:
        """The whole checkpoint with the most steps. Those after it were being written at a kill: they are removed."""
        for folder, step in self._checkpoint_folders():
            mark = read_json(folder / CHECKPOINT_MARK)
            if mark is not None and mark.get("fingerprint") == self.fingerprint:
                return Checkpoint(folder, step, float(mark.get("seconds", 0)), int(mark.get("tokens", 0)))
            log(f"{folder.name} is not complete: skipped")
            shutil.rmtree(folder)
        return None

    def mark_checkpoint(self, step: int, *, seconds: float, tokens: int) -> None:
        """Says that checkpoint-STEP is whole, once it is on the disk."""
        folder = self.path / f"checkpoint-{step}"
        sync_tree(folder)
        write_json(
            folder / CHECKPOINT_MARK,
            {"fingerprint": self.fingerprint, "seconds": round(seconds, 3), "tokens": tokens},
        )
        sync_folder(self.path)

    def finish(self, saved: Path, manifest: dict[str, Any], metrics: dict[str, Any], *, keep_checkpoints: bool) -> None:
        """Moves the adapter from `saved` to its place, and says last that all is there."""
        sync_tree(saved)
        for name in ADAPTER_FILES:
            # The push may run as another user.
            (saved / name).chmod(0o644)
            (saved / name).replace(self.path / name)
        shutil.rmtree(saved, ignore_errors=True)
        files = {name: digest_of(self.path / name) for name in ADAPTER_FILES}
        write_json(self.path / METRICS, metrics)
        write_json(self.path / MANIFEST, manifest | {"fingerprint": self.fingerprint, "files": files})
        stamp = datetime.now(UTC).strftime("%Y-%m-%d-%H-%M-%S")
        write_text(self.path / COMPLETED, f"Fine-Tuning completed at {stamp}\n")
        if not keep_checkpoints:
            for folder, _ in self._checkpoint_folders():
                shutil.rmtree(folder, ignore_errors=True)

    def _checkpoint_folders(self) -> list[tuple[Path, int]]:
        """The newest first."""
        found = [
            (path, int(match.group(1)))
            for path in self.path.glob("checkpoint-*")
            if path.is_dir() and (match := _CHECKPOINT.fullmatch(path.name))
        ]
        return sorted(found, key=lambda item: item[1], reverse=True)
