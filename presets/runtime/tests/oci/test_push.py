from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from oci.adapters import make_adapter
from oci.servers import AUTH, PASSWORD, Answer, Cut, Fault, Proxy, Registry, Seen, TokenServer

from kaito_runtime.oci import push
from kaito_runtime.outcome import RuntimeFailure, conclude

Credentials = Callable[..., Path]
Crane = Callable[..., str]


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 MB, three chunks."""
    return make_adapter(tmp_path_factory.mktemp("adapter"))


def pushed(folder: Path, image: str, *more: str, patience_seconds: float = 20) -> dict[str, Any]:
    arguments = [f"--from={folder}", f"--image={image}", *more]
    return dict(push.program(arguments, patience_seconds=patience_seconds))


def once(matches: Callable[[Seen], bool], fault: Fault) -> Callable[[Seen], Fault]:
    left = [fault]
    return lambda seen: left.pop() if left and matches(seen) else None


@pytest.mark.usefixtures("insecure")
def test_others_read_what_was_pushed(adapter: Path, open_registry: Registry, crane: Crane, tmp_path: Path) -> None:
    image = f"{open_registry.host}/team/read:v1"
    result = pushed(adapter, image, "--annotation=org.example/team=blue")

    assert crane("digest", image).strip() == result["digest"]
    crane("validate", "--remote", image)
    crane("export", image, str(tmp_path / "image.tar"))
    with tarfile.open(tmp_path / "image.tar") as tar:
        assert tar.getnames() == ["data", "data/adapter_config.json", "data/adapter_model.safetensors"]
        weights = tar.extractfile("data/adapter_model.safetensors")
        assert weights is not None
        assert weights.read() == (adapter / "adapter_model.safetensors").read_bytes()
    manifest = json.loads(crane("manifest", image))
    assert manifest["annotations"] == {
        "org.example/team": "blue",
        "org.opencontainers.image.title": "Adapter of tiny",
        "sh.kaito.adapter.base-model": "org/tiny",
        "sh.kaito.adapter.data-digest": "sha256:00",
        "sh.kaito.adapter.loss": "2.5",
        "sh.kaito.adapter.method": "qlora",
        "sh.kaito.adapter.revision": "abc",
        "sh.kaito.adapter.steps": "10",
        "sh.kaito.model.name": "tiny",
    }
    assert result["sent"] > 1_000_000


def test_the_same_adapter_is_sent_once_and_has_one_digest(adapter: Path, proxy: Proxy, tmp_path: Path) -> None:
    first = pushed(adapter, f"{proxy.host}/team/same:v1")
    copy = make_adapter(tmp_path / "elsewhere")
    os.utime(copy / "adapter_config.json", (1, 1))
    proxy.seen.clear()

    again = pushed(copy, f"{proxy.host}/team/same:v1")
    assert again == {**first, "sent": 0}
    assert [seen.method for seen in proxy.seen] == ["HEAD"]

    other_tag = pushed(copy, f"{proxy.host}/team/same:v2")
    assert other_tag["digest"] == first["digest"]
    assert proxy.count("POST") == 0
    assert other_tag["sent"] < 2000


@pytest.mark.usefixtures("insecure")
def test_a_tag_is_moved_to_another_adapter(
    adapter: Path, open_registry: Registry, crane: Crane, tmp_path: Path
) -> None:
    image = f"{open_registry.host}/team/moved:latest"
    before = pushed(adapter, image)
    after = pushed(make_adapter(tmp_path / "other", seed=1, megabytes=1), image)
    assert crane("digest", image).strip() == after["digest"] != before["digest"]


def test_goes_on_in_the_middle_of_a_chunk_after_a_broken_connection(adapter: Path, proxy: Proxy, crane: Crane) -> None:
    def second_chunk(seen: Seen) -> bool:
        return seen.method == "PATCH" and not seen.headers["Content-Range"].startswith("0-")

    proxy.faults.append(once(second_chunk, Cut(request_bytes=3_000_000)))
    image = f"{proxy.host}/team/broken:v1"
    result = pushed(adapter, image)

    layer = json.loads(crane("manifest", image))["layers"][0]
    crane("validate", "--remote", image)
    starts = [int(seen.headers["Content-Range"].partition("-")[0]) for seen in proxy.seen if seen.method == "PATCH"]
    chunk = 8 * 1024 * 1024
    assert starts[:2] == [0, chunk]
    assert chunk < starts[2] <= chunk + 3_000_000, "it goes on where the registry was"
    # One upload for the layer and one for the config; nothing was begun anew.
    assert proxy.count("POST") == 2
    assert layer["size"] < result["sent"] < layer["size"] + 5000


def test_a_lost_answer_to_the_last_request_is_no_second_upload(adapter: Path, proxy: Proxy, crane: Crane) -> None:
    proxy.faults.append(once(lambda seen: seen.method == "PUT" and "/blobs/" in seen.path, Cut(answer_bytes=0)))
    image = f"{proxy.host}/team/lost-answer:v1"
    pushed(make_adapter(adapter.parent / "lost", seed=2, megabytes=1), image)
    crane("validate", "--remote", image)
    assert proxy.count("POST") == 2


@pytest.mark.parametrize(
    "answer", [Answer(503), Answer(429, {"Retry-After": "1"}), Answer(500, {}, b"oops")], ids=["503", "429", "500"]
)
@pytest.mark.parametrize("method", ["HEAD", "POST", "PATCH", "PUT"])
def test_an_overloaded_registry_is_asked_again(
    tmp_path: Path, proxy: Proxy, method: str, answer: Answer, request: pytest.FixtureRequest
) -> None:
    proxy.faults.append(once(lambda seen: seen.method == method, answer))
    name = request.node.callspec.id.lower()
    seed = sum(name.encode())
    result = pushed(make_adapter(tmp_path / "small", seed=seed, megabytes=1), f"{proxy.host}/team/busy-{name}:v1")
    assert result["digest"].startswith("sha256:")


def test_a_registry_that_forgets_the_upload_gets_it_anew(tmp_path: Path, proxy: Proxy, crane: Crane) -> None:
    proxy.faults.append(once(lambda seen: seen.method == "PATCH", Answer(404)))
    image = f"{proxy.host}/team/forgets:v1"
    pushed(make_adapter(tmp_path, seed=3, megabytes=1), image)
    crane("validate", "--remote", image)
    assert proxy.count("POST") == 3


def test_a_registry_without_chunks_gets_the_whole(tmp_path: Path, proxy: Proxy, crane: Crane) -> None:
    proxy.faults.append(lambda seen: Answer(405) if seen.method == "PATCH" else None)
    image = f"{proxy.host}/team/whole:v1"
    result = pushed(make_adapter(tmp_path, seed=4, megabytes=10), image)
    crane("validate", "--remote", image)
    assert crane("digest", image).strip() == result["digest"]


def test_a_registry_that_stays_down_is_unavailable(adapter: Path, proxy: Proxy, termination_log: Path) -> None:
    proxy.faults.append(lambda _: Answer(503))
    code = conclude(lambda: pushed(adapter, f"{proxy.host}/team/down:v1", patience_seconds=1.5))
    told = json.loads(termination_log.read_text())
    assert code == 1
    assert told["cause"] == "RegistryUnavailable"
    assert proxy.host in told["message"]
    assert "503" in told["message"]
    assert len(proxy.seen) > 1


@pytest.mark.parametrize(
    ("host", "reason"), [("127.0.0.1:9", "refused"), ("no-such-host.invalid", "resolve")], ids=["port", "name"]
)
def test_a_registry_that_cannot_be_reached_is_unavailable(adapter: Path, host: str, reason: str) -> None:
    with pytest.raises(RuntimeFailure, match=f"(?i){reason}|name") as failure:
        pushed(adapter, f"{host}/team/a:v1", patience_seconds=1)
    assert failure.value.cause == "RegistryUnavailable"
    assert failure.value.retryable


@pytest.mark.usefixtures("insecure")
def test_files_are_tried_in_order_until_one_may_push(
    adapter: Path, closed_registry: Registry, credentials: Credentials
) -> None:
    host = closed_registry.host
    folder = credentials(
        a={"elsewhere.example.com": {"auth": AUTH}},
        b={host: {"username": "pusher", "password": "wrong"}},
        c={f"http://{host}/v1/": {"auth": AUTH}},
    )
    image = f"{host}/team/order:v1"
    assert pushed(adapter, image, f"--credentials={folder}")["sent"] > 0


@pytest.mark.usefixtures("insecure")
def test_says_who_was_refused_and_never_the_password(
    adapter: Path, closed_registry: Registry, credentials: Credentials, termination_log: Path
) -> None:
    host = closed_registry.host
    folder = credentials(
        elsewhere={"elsewhere.example.com": {"auth": AUTH}}, wrong={host: {"username": "pusher", "password": "hunter2"}}
    )
    (folder / "broken.json").write_text("{")
    image = f"{host}/team/denied:v1"

    code = conclude(lambda: pushed(adapter, image, f"--credentials={folder}"))

    told = json.loads(termination_log.read_text())
    assert code == 1
    assert told["cause"] == "RegistryDenied"
    assert f"has no entry for {host}" in told["message"]
    for part in (host, "team/denied", "anonymous: it answered 401", "broken.json", "elsewhere.json", "wrong.json: it"):
        assert part in told["message"]
    assert "hunter2" not in json.dumps(told)
    assert PASSWORD not in json.dumps(told)


def test_a_token_for_reading_is_followed_by_one_for_writing_and_renewed(
    adapter: Path, proxy: Proxy, credentials: Credentials
) -> None:
    tokens = TokenServer(proxy, uses=2)
    proxy.faults.append(tokens)
    folder = credentials(registry={proxy.host: {"auth": AUTH}})
    pushed(adapter, f"{proxy.host}/team/token:v1", f"--credentials={folder}")
    assert tokens.asked[0] == "repository:x:pull"
    assert tokens.asked.count("repository:x:pull,push") > 2, "tokens that ran out in the middle were renewed"


def test_an_identity_token_is_exchanged(tmp_path: Path, proxy: Proxy, credentials: Credentials) -> None:
    tokens = TokenServer(proxy)
    tokens.identity = "a long one"
    proxy.faults.append(tokens)
    folder = credentials(registry={proxy.host: {"auth": AUTH, "identitytoken": "a long one"}})
    adapter = make_adapter(tmp_path / "adapter", seed=5, megabytes=1)
    pushed(adapter, f"{proxy.host}/team/identity:v1", f"--credentials={folder}")
    assert proxy.count("POST", "/token") == len(tokens.asked) > 0


def test_an_unknown_repository_is_told_as_denied(adapter: Path, proxy: Proxy) -> None:
    body = json.dumps({"errors": [{"code": "NAME_UNKNOWN", "message": "repository does not exist"}]}).encode()
    proxy.faults.append(lambda seen: Answer(404, {}, body) if seen.method == "POST" else None)
    with pytest.raises(RuntimeFailure, match="repository does not exist") as failure:
        pushed(adapter, f"{proxy.host}/team/unknown:v1")
    assert failure.value.cause == "RegistryDenied"


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("registry.example.com/Team/adapter:v1", "small letters"),
        ("registry.example.com/team/adapter:", "tag"),
        ("registry.example.com:port/team/adapter", "registry"),
        (f"registry.example.com/team/adapter@sha256:{'0' * 64}", "digest"),
        ("", "repository"),
    ],
)
def test_a_wrong_reference_is_named(adapter: Path, image: str, said: str) -> None:
    with pytest.raises(RuntimeFailure, match=said) as failure:
        pushed(adapter, image)
    assert failure.value.cause == "InvalidInput"
    assert not failure.value.retryable


def test_an_adapter_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = make_adapter(tmp_path, megabytes=1)
    weights = (folder / "adapter_model.safetensors").read_bytes()
    (folder / "adapter_model.safetensors").write_bytes(weights[:-10])
    with pytest.raises(RuntimeFailure, match="cut off"):
        pushed(folder, "registry.example.com/a:v1")
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(RuntimeFailure, match=r"lacks adapter_model\.safetensors") as failure:
        pushed(folder, "registry.example.com/a:v1")
    assert failure.value.cause == "InvalidInput"


def test_an_annotation_without_value_is_refused(adapter: Path) -> None:
    with pytest.raises(RuntimeFailure, match="--annotation=novalue"):
        pushed(adapter, "registry.example.com/a:v1", "--annotation=novalue")
