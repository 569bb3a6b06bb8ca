"""The base model from a folder, and from a server that speaks the hub's protocol."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.tune.base_model import find_base_model, tokenizer_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FETCH = """
import sys
from pathlib import Path
from kaito_runtime.outcome import run
from kaito_runtime.tune.base_model import find_base_model

def fetch():
    base = find_base_model(sys.argv[1], revision=None, preset="p")
    return {"name": base.name, "identity": base.identity, "folder": str(base.fetch(Path(sys.argv[2]), code=False))}

run(fetch)
"""


def test_a_folder_is_named_by_the_preset(tiny_model: Path, tmp_path: Path) -> None:
    base = find_base_model(str(tiny_model), revision=None, preset="phi-4")
    assert (base.name, base.fetch(None, code=False)) == ("phi-4", tiny_model)
    assert base.identity != find_base_model(str(tiny_model), revision=None, preset="phi-3").identity
    with pytest.raises(RuntimeFailure, match=r"has no config\.json"):
        find_base_model(str(tmp_path), revision=None, preset="phi-4")
    with pytest.raises(RuntimeFailure, match="neither a folder nor an id"):
        find_base_model("/absent/model", revision=None, preset="phi-4")


def test_a_commit_needs_no_look_up() -> None:
    base = find_base_model("owner/model", revision=COMMIT, preset="phi-4")
    assert (base.name, base.revision, base.identity) == ("owner/model", COMMIT, f"owner/model@{COMMIT}")


def test_a_tokenizer_without_padding_pads_with_the_end(tiny_model: Path, tmp_path: Path) -> None:
    for file in tiny_model.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    del settings["pad_token"]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(settings))
    (tmp_path / "special_tokens_map.json").unlink(missing_ok=True)
    tokenizer = tokenizer_of(str(tmp_path))
    assert [tokenizer.pad_token, tokenizer.eos_token] == ["</s>", "</s>"]


@pytest.fixture
def hub(tiny_model: Path) -> Iterator[str]:
    """As much of the hub's protocol as downloading takes: facts about a revision, its files, and refusals."""
    names = [file.name for file in tiny_model.iterdir()]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.split("?")[0]
            if "/owner/gated" in path:
                self._answer(403, b"{}", **{"X-Error-Code": "GatedRepo", "X-Error-Message": "ask for access"})
            elif "/owner/busy" in path:
                self._answer(502, b"{}")
            elif path.startswith("/api/models/owner/model/tree/"):
                files = [{"type": "file", "path": name, "size": (tiny_model / name).stat().st_size} for name in names]
                self._answer(200, json.dumps([{**file, "oid": "0" * 40} for file in files]).encode())
            elif path.startswith("/api/models/owner/model"):
                siblings = [{"rfilename": name} for name in [*names, "original/huge.safetensors"]]
                facts = {"id": "owner/model", "sha": COMMIT, "siblings": siblings}
                self._answer(200, json.dumps(facts).encode())
            elif path.startswith("/owner/model/resolve/") and path.rpartition("/")[2] in names:
                content = (tiny_model / path.rpartition("/")[2]).read_bytes()
                tag = hashlib.sha256(content).hexdigest()
                self._answer(200, content, **{"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})
            else:
                self._answer(404, b"{}", **{"X-Error-Code": "RepoNotFound"})

        def _answer(self, code: int, content: bytes, **headers: str) -> None:
            self.send_response(code)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()


def fetch(hub: str, model: str, folder: Path) -> dict[str, Any]:
    """In a process of its own: the hub's client reads its environment once."""
    log = folder / "log.json"
    environment = os.environ | {
        "HF_ENDPOINT": hub,
        "KAITO_TERMINATION_LOG": str(log),
        "PYTHONPATH": str(Path(__file__).parents[2] / "src"),
        "HF_HUB_DISABLE_XET": "1",
    }
    arguments = [sys.executable, "-c", FETCH, model, str(folder / "weights")]
    subprocess.run(arguments, env=environment, check=False, timeout=120)
    result: dict[str, Any] = json.loads(log.read_text())
    return result


def test_a_model_of_the_hub_is_downloaded_at_its_commit(hub: str, tmp_path: Path, tiny_model: Path) -> None:
    result = fetch(hub, "owner/model", tmp_path)
    assert (result["name"], result["identity"]) == ("owner/model", f"owner/model@{COMMIT}"), result
    assert (Path(result["folder"]) / "model.safetensors").read_bytes() == (
        tiny_model / "model.safetensors"
    ).read_bytes()
    assert not (Path(result["folder"]) / "original").exists()


@pytest.mark.parametrize(
    ("model", "cause"),
    [("owner/gated", "HubDenied"), ("owner/absent", "HubDenied"), ("owner/busy", "HubUnavailable")],
)
def test_what_the_hub_refuses_is_told(hub: str, tmp_path: Path, model: str, cause: str) -> None:
    result = fetch(hub, model, tmp_path)
    assert result["cause"] == cause
    assert model in result["message"]
