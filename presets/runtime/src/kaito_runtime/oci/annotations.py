"""What an adapter's image says about itself, taken from the `manifest.json` that training leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..outcome import RuntimeFailure

MODEL = "sh.kaito.model.name"
"""KAITO's own; the rest of its prefix is ours."""

# Annotation, and the key of its value in manifest.json.
_FROM_MANIFEST = (
    (MODEL, "preset"),
    ("sh.kaito.adapter.base-model", "baseModel"),
    ("sh.kaito.adapter.revision", "baseRevision"),
    ("sh.kaito.adapter.method", "method"),
    ("sh.kaito.adapter.data-digest", "dataDigest"),
    ("sh.kaito.adapter.steps", "steps"),
    ("sh.kaito.adapter.loss", "loss"),
)
_TITLE = "org.opencontainers.image.title"


def collect_annotations(folder: Path, own: Sequence[str]) -> dict[str, str]:
    """From `manifest.json`, where there is one, then those of the command line (KEY=VALUE).

    Nothing depends on when or where the image is made, so the same adapter gets the same digest.
    """
    manifest = _manifest(folder / "manifest.json")
    found = {key: _text(value) for key, name in _FROM_MANIFEST if (value := manifest.get(name)) is not None}
    if MODEL in found:
        found[_TITLE] = f"Adapter of {found[MODEL]}"
    for pair in own:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise RuntimeFailure("InvalidInput", f"--annotation={pair} is not KEY=VALUE")
        found[key] = value
    return found


def _manifest(file: Path) -> Mapping[str, Any]:
    if not file.exists():
        return {}
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RuntimeFailure("InvalidInput", f"{file} is no JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise RuntimeFailure("InvalidInput", f"{file} is no JSON object")
    return manifest


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
