from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from serve.fake_hub import COMMIT, TOKEN, FakeHub

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.serve.hub import HubFile, download, select_files
from kaito_runtime.serve.progress import Progress

FILES = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": bytes(range(256)) * 400}


@pytest.fixture
def hub_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., FakeHub]]:
    import huggingface_hub.constants

    hubs: list[FakeHub] = []

    def start(files: dict[str, bytes] | None = None, gated: bool = False) -> FakeHub:
        hub = FakeHub(FILES if files is None else files, gated)
        hubs.append(hub)
        # Read from HF_ENDPOINT when the library is imported, which other tests did before.
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        return hub

    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield start
    violations = [violation for hub in hubs for violation in hub.violations]
    for hub in hubs:
        hub.stop()
    assert violations == []


def fetch(directory: Path, revision: str | None = COMMIT, model: str = FakeHub.name) -> Path:
    progress = Progress(model)
    try:
        return download(model, revision, "auto", directory, progress)
    finally:
        progress.stop()


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def names(files: list[HubFile]) -> list[str]:
    return sorted(file.path for file in files)


def test_downloads_what_vllm_reads(tmp_path: Path, hub_of: Callable[..., FakeHub]) -> None:
    hub_of({**FILES, "pytorch_model.bin": b"x", "original/consolidated.00.pth": b"x", "picture.png": b"x"})
    assert content(fetch(tmp_path)) == FILES


def test_a_second_start_needs_no_hub_when_the_revision_is_pinned(
    tmp_path: Path, hub_of: Callable[..., FakeHub]
) -> None:
    hub = hub_of()
    first = fetch(tmp_path)
    hub.requests.clear()
    assert fetch(tmp_path) == first
    assert hub.requests == []


def test_a_branch_is_asked_for_again_and_what_is_here_is_served_when_the_hub_is_away(
    tmp_path: Path, hub_of: Callable[..., FakeHub], capsys: pytest.CaptureFixture[str]
) -> None:
    hub = hub_of()
    first = fetch(tmp_path, None)
    hub.requests.clear()
    assert fetch(tmp_path, None) == first
    assert hub.requests
    hub.trouble = 503
    assert fetch(tmp_path, None) == first
    assert "the copy that is here already is served" in capsys.readouterr().err


def test_a_download_that_lost_a_file_is_completed(tmp_path: Path, hub_of: Callable[..., FakeHub]) -> None:
    hub_of()
    lost = fetch(tmp_path) / "model.safetensors"
    lost.resolve().unlink()
    assert content(fetch(tmp_path)) == FILES


def test_a_connection_that_breaks_is_gone_on_with(tmp_path: Path, hub_of: Callable[..., FakeHub]) -> None:
    hub = hub_of()
    hub.break_off_after = 50_000
    assert content(fetch(tmp_path)) == FILES


@pytest.mark.parametrize("token", [None, "hf_wrongtoken"])
def test_a_gated_model_without_access_is_denied(
    tmp_path: Path, hub_of: Callable[..., FakeHub], monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    hub_of(gated=True)
    if token is not None:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(RuntimeFailure, match="model test/tiny: the hub refuses access") as told:
        fetch(tmp_path)
    assert (told.value.cause, told.value.retryable) == ("HubDenied", True)


def test_a_gated_model_with_access_is_downloaded(
    tmp_path: Path, hub_of: Callable[..., FakeHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    hub_of(gated=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert content(fetch(tmp_path)) == FILES


def test_a_model_that_the_hub_does_not_show_is_denied(tmp_path: Path, hub_of: Callable[..., FakeHub]) -> None:
    hub_of()
    with pytest.raises(RuntimeFailure) as told:
        fetch(tmp_path, model="test/other")
    assert (told.value.cause, told.value.retryable) == ("HubDenied", True)


@pytest.mark.parametrize(
    ("model", "revision", "message"),
    [
        ("test/tiny", "nope", "--revision=nope: model test/tiny has no such revision"),
        ("a/b/c", None, "--model=a/b/c: "),
    ],
)
def test_names_that_the_hub_cannot_know_are_invalid(
    tmp_path: Path, hub_of: Callable[..., FakeHub], model: str, revision: str | None, message: str
) -> None:
    hub_of()
    with pytest.raises(RuntimeFailure, match=message) as told:
        fetch(tmp_path, revision, model)
    assert (told.value.cause, told.value.retryable) == ("InvalidInput", False)


def test_a_hub_that_fails_or_cannot_be_reached_is_unavailable(tmp_path: Path, hub_of: Callable[..., FakeHub]) -> None:
    hub = hub_of()
    hub.trouble = 500
    with pytest.raises(RuntimeFailure) as told:
        fetch(tmp_path)
    assert (told.value.cause, told.value.retryable) == ("HubUnavailable", True)
    hub.stop()
    with pytest.raises(RuntimeFailure) as told:
        fetch(tmp_path)
    assert (told.value.cause, told.value.retryable) == ("HubUnavailable", True)


def test_a_disk_that_is_too_small_is_told_before_the_download(
    tmp_path: Path, hub_of: Callable[..., FakeHub], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    hub = hub_of()
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("kaito_runtime.serve.hub.shutil.disk_usage", lambda _: usage)
    with pytest.raises(
        RuntimeFailure, match=r"needs 0.00 GiB in .*, there are 0.00 GiB of it and 0.00 GiB free"
    ) as told:
        fetch(tmp_path)
    assert told.value.cause == "DoesNotFit"
    assert [request for request in hub.requests if "safetensors" in request] == []


def test_weights_that_an_index_names_are_taken_and_no_others(tmp_path: Path, hub_of: Callable[..., FakeHub]) -> None:
    index = {"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}
    wanted = {
        "config.json": b"{}",
        "model.safetensors.index.json": json.dumps(index).encode(),
        "model-1.safetensors": b"1",
        "model-2.safetensors": b"2",
    }
    hub_of({**wanted, "adapter.safetensors": b"3"})
    assert content(fetch(tmp_path)) == wanted


@pytest.mark.parametrize(
    ("load_format", "weights"),
    [
        ("auto", ["consolidated.safetensors"]),
        ("mistral", ["consolidated.safetensors"]),
        ("safetensors", ["consolidated.safetensors", "model.safetensors"]),
        ("npcache", ["pytorch_model.bin"]),
        ("pt", ["model.pt"]),
        ("dummy", []),
    ],
)
def test_the_load_format_chooses_the_weights(load_format: str, weights: list[str]) -> None:
    paths = ["consolidated.safetensors", "model.safetensors", "pytorch_model.bin", "model.pt", "a/model.safetensors"]
    files = [HubFile(path, 1) for path in (*paths, "config.json", "2_Dense/model.safetensors")]
    selected = names(select_files(files, load_format, None))
    assert selected == sorted([*weights, "config.json", "2_Dense/model.safetensors"])


def test_a_repository_without_weights_of_the_format_is_told() -> None:
    with pytest.raises(RuntimeFailure, match=r"no weights of --load-format=pt: no \*\.pt"):
        select_files([HubFile("model.safetensors", 1)], "pt", None)
