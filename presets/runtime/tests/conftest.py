"""What all tests share."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights; read it, never write it."""
    return tiny.make_model(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture
def termination_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a program run in this process writes its result."""
    path = tmp_path / "termination-log"
    monkeypatch.setenv("KAITO_TERMINATION_LOG", str(path))
    return path
