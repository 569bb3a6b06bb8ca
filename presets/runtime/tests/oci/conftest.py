"""A real registry, with and without users, and a proxy before it that misbehaves on request."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from oci.servers import Proxy, Registry, program

Serve = Callable[..., Registry]


@pytest.fixture(scope="session")
def serve_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts registries that end with the session."""
    started: list[Registry] = []

    def start(*, users: bool = False) -> Registry:
        registry = Registry(tmp_path_factory.mktemp("registry"), users=users)
        started.append(registry)
        return registry

    yield start
    for registry in started:
        registry.stop()


@pytest.fixture(scope="session")
def open_registry(serve_registry: Serve) -> Registry:
    """For anyone."""
    return serve_registry()


@pytest.fixture(scope="session")
def closed_registry(serve_registry: Serve) -> Registry:
    """For one user only."""
    return serve_registry(users=True)


@pytest.fixture
def proxy(open_registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    with Proxy(open_registry.port) as running:
        monkeypatch.setenv("KAITO_INSECURE_REGISTRIES", running.host)
        yield running


@pytest.fixture
def insecure(monkeypatch: pytest.MonkeyPatch, open_registry: Registry, closed_registry: Registry) -> None:
    monkeypatch.setenv("KAITO_INSECURE_REGISTRIES", f"example.test, {open_registry.host},{closed_registry.host}")


@pytest.fixture(scope="session")
def crane() -> Callable[..., str]:
    """Runs crane, another project's view of what is in the registry."""
    file = program("crane")

    def run(*arguments: str) -> str:
        done = subprocess.run([file, *arguments], check=False, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def credentials(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder with Docker config files: name=auths."""

    def make(**files: object) -> Path:
        folder = tmp_path / "credentials"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, auths in files.items():
            (folder / f"{name}.json").write_text(json.dumps({"auths": auths}))
        return folder

    return make
