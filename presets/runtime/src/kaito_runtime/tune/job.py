"""What one training is: made by `tune`, done by each of its processes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kaito_runtime.tune.defaults import Method
from kaito_runtime.tune.output_folder import OutputFolder


@dataclass(frozen=True)
class Job:
    """All that a process needs; simple values, so that it can be handed over as JSON."""

    method: Method
    config: str
    """The text of training_config.yaml as it was when the training began."""
    model: str
    """The base model's folder."""
    model_name: str
    revision: str | None
    preset: str
    rows: str
    """The folder with the rows for the trainer."""
    dataset: dict[str, Any]
    """What the manifest says about the data."""
    output: str
    fingerprint: str
    processes: int

    @property
    def output_folder(self) -> OutputFolder:
        """Where the training's files go."""
        return OutputFolder(Path(self.output), self.fingerprint)

    def to_json(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> Job:
        """As `to_json` wrote it."""
        return Job(**json.loads(text))
