from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from oci.adapters import make_adapter
from oci.images import INDEX, Entry, Image, layer, link, pipe, put_image, put_manifest
from oci.servers import AUTH, Answer, Cut, Proxy, Registry

from kaito_runtime.oci import pull, push
from kaito_runtime.outcome import RuntimeFailure, conclude

Credentials = Callable[..., Path]


def pulled(host: str, name: str, to: Path, *more: str, path: str = "/data", version: str = ":v1") -> dict[str, Any]:
    arguments = [f"--image={host}/{name}{version}", f"--path={path}", f"--to={to}", *more]
    return dict(pull.program(arguments, patience_seconds=5))


def content(folder: Path) -> dict[str, bytes | str | None]:
    """What is in a folder, but for the marker: files, symbolic links, empty folders."""
    found: dict[str, bytes | str | None] = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name == ".kaito-pulled":
            continue
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[name] = None
    return found


@pytest.mark.usefixtures("insecure")
@pytest.mark.parametrize("packed", ["gzip", "zstd", "plain"])
def test_takes_one_folder_of_the_image(open_registry: Registry, tmp_path: Path, packed: str) -> None:
    entries: Mapping[str, Entry] = {
        "etc/passwd": b"root",
        "./data": None,
        "./data/config.json": b"{}",
        "data/deep/er/weights.bin": b"w" * 3_000_000,
        "data/run.sh": b"#!",
        "data/empty": None,
        "data/latest": "deep/er",
        "data/same.json": link("data/config.json"),
        "database/x": b"not it",
    }
    name = f"pull/{packed}"
    put_image(open_registry.host, name, Image([entries], packed=packed))
    to = tmp_path / "to"

    pulled(open_registry.host, name, to)

    assert content(to) == {
        "config.json": b"{}",
        "deep/er/weights.bin": b"w" * 3_000_000,
        "empty": None,
        "latest": "deep/er",
        "run.sh": b"#!",
        "same.json": b"{}",
    }
    # Another user than the one who pulls may serve it.
    assert (to / "config.json").stat().st_mode & 0o777 == 0o644
    assert (to / "run.sh").stat().st_mode & 0o777 == 0o755


@pytest.mark.usefixtures("insecure")
def test_upper_layers_change_and_remove_what_lower_ones_have(open_registry: Registry, tmp_path: Path) -> None:
    layers: list[Mapping[str, Entry]] = [
        {
            "data/kept": b"1",
            "data/changed": b"1",
            "data/removed": b"1",
            "data/folder/removed": b"1",
            "data/opaque/old": b"1",
            "data/opaque/both": b"1",
            "data/becomes-file/x": b"1",
            "data/becomes-folder": b"1",
        },
        {
            "data/changed": b"2",
            "data/.wh.removed": b"",
            "data/.wh.folder": b"",
            # Its own entries stay, whether they come before or after.
            "data/opaque/new": b"2",
            "data/opaque/.wh..wh..opq": b"",
            "data/opaque/both": b"2",
            "data/becomes-file": b"2",
            "data/becomes-folder/x": b"2",
        },
    ]
    put_image(open_registry.host, "pull/whiteouts", Image(layers))
    with pytest.raises(RuntimeFailure, match="becomes-folder"):
        pulled(open_registry.host, "pull/whiteouts", tmp_path / "refused")
    layers[1] = {**{k: v for k, v in layers[1].items() if k != "data/becomes-folder/x"}, "data/becomes-folder": None}
    put_image(open_registry.host, "pull/whiteouts", Image(layers))
    pulled(open_registry.host, "pull/whiteouts", tmp_path / "to")
    assert content(tmp_path / "to") == {
        "becomes-file": b"2",
        "becomes-folder": None,
        "changed": b"2",
        "kept": b"1",
        "opaque/both": b"2",
        "opaque/new": b"2",
    }


@pytest.mark.usefixtures("insecure")
@pytest.mark.parametrize("gone", [".wh.data", ".wh..wh..opq"])
def test_a_folder_that_an_upper_layer_removed_is_not_there(open_registry: Registry, tmp_path: Path, gone: str) -> None:
    name = f"pull/gone-{len(gone)}"
    put_image(open_registry.host, name, Image([{"data/x": b"1", "other/x": b"1"}, {gone: b""}]))
    with pytest.raises(RuntimeFailure, match="has no folder /data"):
        pulled(open_registry.host, name, tmp_path / "to")
    put_image(open_registry.host, name, Image([{"data/x": b"1"}, {gone: b""}, {"data/y": b"2"}]))
    pulled(open_registry.host, name, tmp_path / "to")
    assert content(tmp_path / "to") == {"y": b"2"}


@pytest.mark.usefixtures("insecure")
@pytest.mark.parametrize(
    "entries",
    [
        {"data/../../escaped": b"1"},
        {"data/link": "/etc"},
        {"data/link": "../../etc"},
        {"data/a/link": "../../x"},
        {"data/hard": link("etc/passwd")},
        {"data/hard": link("../../../etc/passwd")},
        {"data/link": "inside", "data/link/file": b"1"},
        {"data/pipe": pipe()},
        {"data": b"a file"},
        {"data": "elsewhere"},
    ],
    ids=lambda entries: ",".join(entries),
)
def test_what_leads_outside_is_refused(
    open_registry: Registry, tmp_path: Path, entries: Mapping[str, Entry], request: pytest.FixtureRequest
) -> None:
    name = f"pull/escape-{abs(hash(request.node.name))}"
    put_image(open_registry.host, name, Image([entries]))
    to = tmp_path / "a" / "b" / "to"
    with pytest.raises(RuntimeFailure, match="cannot be unpacked") as failure:
        pulled(open_registry.host, name, to)
    assert failure.value.cause == "InvalidInput"
    assert not (to / ".kaito-pulled").exists()
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.usefixtures("insecure")
def test_of_an_index_the_one_for_this_machine(open_registry: Registry, tmp_path: Path) -> None:
    host, name = open_registry.host, "pull/index"
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]

    def platform(architecture: str, text: bytes) -> dict[str, Any]:
        descriptor = put_image(host, name, Image([{"data/which": text}]), tag=None)
        return {**descriptor, "platform": {"os": "linux", "architecture": architecture}}

    manifests = [platform("s390x", b"other"), platform(machine, b"mine")]
    put_manifest(host, name, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}, INDEX, "v1")
    result = pulled(host, name, tmp_path / "to")
    assert content(tmp_path / "to") == {"which": b"mine"}
    assert result["digest"] == manifests[1]["digest"]

    put_manifest(host, name, {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests[:1]}, INDEX, "v2")
    with pytest.raises(RuntimeFailure, match="only for linux/s390x"):
        pulled(host, name, tmp_path / "to", version=":v2")


@pytest.mark.usefixtures("insecure")
def test_by_digest(open_registry: Registry, tmp_path: Path) -> None:
    host, name = open_registry.host, "pull/digest"
    first = put_image(host, name, Image([{"data/x": b"1"}]))
    put_image(host, name, Image([{"data/x": b"2"}]))
    result = pulled(host, name, tmp_path / "to", version=f"@{first['digest']}")
    assert result["digest"] == first["digest"]
    assert content(tmp_path / "to") == {"x": b"1"}


def test_again_is_quick_and_another_image_takes_its_place(
    open_registry: Registry, proxy: Proxy, tmp_path: Path
) -> None:
    name, to = "pull/again", tmp_path / "to"
    put_image(open_registry.host, name, Image([{"data/x": b"1", "data/old": b"1"}]))
    pulled(proxy.host, name, to)
    (to / "of-somebody-else").write_text("stays")
    proxy.seen.clear()
    pulled(proxy.host, name, to)
    assert [seen.method for seen in proxy.seen] == ["GET"]

    put_image(open_registry.host, name, Image([{"data/x": b"2"}]))
    pulled(proxy.host, name, to)
    assert content(to) == {"of-somebody-else": b"stays", "x": b"2"}


def test_what_an_interrupted_run_left_does_no_harm(open_registry: Registry, proxy: Proxy, tmp_path: Path) -> None:
    name, to = "pull/interrupted", tmp_path / "to"
    put_image(open_registry.host, name, Image([{"data/x": b"1"}, {"data/y": b"2"}]))
    proxy.faults.append(lambda seen: Answer(403) if "/blobs/" in seen.path else None)
    with pytest.raises(RuntimeFailure):
        pulled(proxy.host, name, to)
    (to / ".kaito-partial" / "garbage").write_text("half")
    proxy.faults.clear()
    pulled(proxy.host, name, to)
    assert content(to) == {"x": b"1", "y": b"2"}


@pytest.mark.parametrize("ranges", [True, False], ids=["with ranges", "without ranges"])
def test_goes_on_after_a_broken_download(open_registry: Registry, proxy: Proxy, tmp_path: Path, ranges: bool) -> None:
    noise = secrets.token_bytes(6_000_000)
    name = f"pull/broken-{ranges}".lower()
    blob = layer({"data/weights": noise}, "plain")
    put_image(open_registry.host, name, Image(raw=[blob]))
    cuts = [Cut(answer_bytes=2_500_000), Cut(answer_bytes=3_000_000)]

    def fault(seen: Any) -> Cut | Answer | None:
        if seen.method != "GET" or "/blobs/" not in seen.path:
            return None
        if cuts:
            return cuts.pop()
        return None if ranges else Answer(200, {}, blob)

    proxy.faults.append(fault)
    pulled(proxy.host, name, tmp_path / "to")
    assert content(tmp_path / "to") == {"weights": noise}
    asked = [seen.headers.get("Range") for seen in proxy.seen if "/blobs/" in seen.path]
    assert asked[:2] == [None, "bytes=3000000-"]
    assert len(asked) == 3


def test_a_layer_that_is_not_what_its_digest_says_is_not_taken(
    open_registry: Registry, proxy: Proxy, tmp_path: Path
) -> None:
    put_image(open_registry.host, "pull/wrong", Image([{"data/x": b"1"}]))
    other = layer({"data/x": b"evil"})
    proxy.faults.append(lambda seen: Answer(200, {}, other) if "/blobs/" in seen.path else None)
    with pytest.raises(RuntimeFailure, match="with digest") as failure:
        pulled(proxy.host, "pull/wrong", tmp_path / "to")
    assert failure.value.cause == "ImagePull"
    assert content(tmp_path / "to").keys() <= {".kaito-partial/x"}


@pytest.mark.usefixtures("insecure")
def test_a_path_that_the_image_lacks_is_told_with_what_it_has(open_registry: Registry, tmp_path: Path) -> None:
    put_image(open_registry.host, "pull/lacks", Image([{"bin/sh": b"", "workspace/tfs/weights/x": b""}]))
    with pytest.raises(RuntimeFailure, match="no folder /data; it has /bin, /workspace, /workspace/tfs") as failure:
        pulled(open_registry.host, "pull/lacks", tmp_path / "to")
    assert failure.value.cause == "InvalidInput"
    pulled(open_registry.host, "pull/lacks", tmp_path / "to", path="/workspace/tfs/weights/")
    assert content(tmp_path / "to") == {"x": b""}


@pytest.mark.usefixtures("insecure")
def test_an_image_that_is_not_there_is_image_pull(
    open_registry: Registry, tmp_path: Path, termination_log: Path
) -> None:
    code = conclude(lambda: pulled(open_registry.host, "pull/nothing", tmp_path / "to"))
    told = json.loads(termination_log.read_text())
    assert code == 1
    assert told["cause"] == "ImagePull"
    assert "pull/nothing:v1" in told["message"]


@pytest.mark.usefixtures("insecure")
def test_a_layer_that_is_no_archive_is_named(open_registry: Registry, tmp_path: Path) -> None:
    put_image(open_registry.host, "pull/no-tar", Image(raw=[b"weights, as they are" * 100]))
    with pytest.raises(RuntimeFailure, match="no tar archive") as failure:
        pulled(open_registry.host, "pull/no-tar", tmp_path / "to")
    assert failure.value.cause == "InvalidInput"


@pytest.mark.usefixtures("insecure")
def test_private_images_need_a_credential(closed_registry: Registry, credentials: Credentials, tmp_path: Path) -> None:
    host = closed_registry.host
    folder = credentials(x={"elsewhere": {"auth": AUTH}}, y={host: {"auth": AUTH}})
    adapter = make_adapter(tmp_path / "adapter", seed=9, megabytes=1)
    push.program([f"--from={adapter}", f"--image={host}/team/private:v1", f"--credentials={folder}"])
    with pytest.raises(RuntimeFailure, match="anonymous: it answered 401") as failure:
        pulled(host, "team/private", tmp_path / "to")
    assert failure.value.cause == "ImagePull"
    pulled(host, "team/private", tmp_path / "to", f"--credentials={folder}")
    assert sorted(content(tmp_path / "to")) == ["adapter_config.json", "adapter_model.safetensors"]
    weights = (adapter / "adapter_model.safetensors").read_bytes()
    assert content(tmp_path / "to")["adapter_model.safetensors"] == weights
