"""The base model's files: a folder that is there, or downloaded from the Hugging Face hub."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaito_runtime.outcome import RuntimeFailure, log
from kaito_runtime.tune.failures import invalid
from kaito_runtime.tune.files import digest_of, digest_of_value

_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[\w.-]+)?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_DESCRIPTIONS = ["*.json", "*.txt", "*.model", "*.jinja", "*.tiktoken"]
_CODE = ["*.py"]


@dataclass(frozen=True)
class BaseModel:
    """What the base model is; its files may still have to be downloaded."""

    source: str
    """The folder, or the hub's id."""
    name: str
    """The hub's id, or the preset's name: what adapters say they were made from."""
    revision: str | None
    identity: str
    """Tells whether two trainings have the same base."""

    def fetch(self, download_dir: Path | None, *, code: bool) -> Path:
        """The folder with the model's files, downloaded when it is one of the hub; goes on with what is there."""
        if Path(self.source).is_dir():
            return Path(self.source)
        return _download(self.source, self.revision, download_dir, code=code)


def find_base_model(model: str, *, revision: str | None, preset: str) -> BaseModel:
    """What `model` is. A revision that is no commit is looked up, so that the base cannot change in between."""
    if Path(model).is_dir():
        return _local(Path(model), preset, revision)
    if not _ID.fullmatch(model):
        raise invalid(f"--model={model} is neither a folder nor an id of the Hugging Face hub", "Give one of the two.")
    commit = revision if revision and _COMMIT.fullmatch(revision) else _commit(model, revision)
    return BaseModel(model, model, commit, f"{model}@{commit}")


def _commit(model: str, revision: str | None) -> str:
    from huggingface_hub import model_info

    try:
        commit = model_info(model, revision=revision).sha
    except Exception as error:
        raise of_hub(error, model, revision) from error
    if commit is None:
        raise RuntimeFailure("HubUnavailable", f"the hub does not say which commit {model} is at", retryable=True)
    return str(commit)


def _local(folder: Path, preset: str, revision: str | None) -> BaseModel:
    config = folder / "config.json"
    if not config.is_file():
        raise invalid(f"--model={folder} has no config.json", "Give the folder of a model in the Hugging Face format.")
    weights = sorted(path for pattern in ("*.safetensors", "*.bin") for path in folder.glob(pattern))
    if not weights:
        raise invalid(
            f"--model={folder} has no weights (*.safetensors)", "Give the folder of a model in the Hugging Face format."
        )
    identity = digest_of_value(
        [preset, revision, digest_of(config), [(path.name, path.stat().st_size) for path in weights]]
    )
    return BaseModel(str(folder), preset, revision, identity)


def _download(model: str, revision: str | None, download_dir: Path | None, *, code: bool) -> Path:
    from huggingface_hub import snapshot_download

    log(f"downloading {model} at {revision or 'main'}")
    try:
        weights = _weights(model, revision)
        folder = snapshot_download(
            model,
            revision=revision,
            cache_dir=str(download_dir) if download_dir else None,
            allow_patterns=[*_DESCRIPTIONS, *weights, *(_CODE if code else [])],
        )
    except Exception as error:
        raise of_hub(error, model, revision) from error
    return Path(folder)


def _weights(model: str, revision: str | None) -> list[str]:
    """Safetensors where there are any; folders such as original/ hold the same again in another format."""
    from huggingface_hub import list_repo_files

    names = [name for name in list_repo_files(model, revision=revision) if "/" not in name]
    for suffix in (".safetensors", ".bin"):
        found = [name for name in names if name.endswith(suffix)]
        if found:
            return found
    raise invalid(f"the model {model} has no weights in a format that can be tuned", "Choose a model with safetensors.")


def of_hub(error: Exception, model: str, revision: str | None) -> Exception:
    """What an exception of the hub's client means to the user; others are returned as they are."""
    from huggingface_hub import errors

    denied = (errors.GatedRepoError, errors.RepositoryNotFoundError, errors.DisabledRepoError)
    if isinstance(error, errors.RevisionNotFoundError):
        return invalid(f"the model {model} has no revision {revision}", "Correct the revision.")
    if isinstance(error, denied):
        return RuntimeFailure(
            "HubDenied", f"the Hugging Face hub refuses {model}: {_first_line(error)}", retryable=True
        )
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status in (401, 403):
        return RuntimeFailure("HubDenied", f"the Hugging Face hub refuses {model} ({status})", retryable=True)
    if (
        isinstance(error, (errors.HfHubHTTPError, errors.LocalEntryNotFoundError, OSError))
        or status is not None
        or _is_network(error)
    ):
        return RuntimeFailure(
            "HubUnavailable",
            f"{model} cannot be downloaded from the Hugging Face hub: {_first_line(error)}",
            retryable=True,
        )
    return error


def _is_network(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("httpx", "httpcore", "requests", "urllib3")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def tokenizer_of(model: str, *, code: bool = False, revision: str | None = None) -> Any:
    """The tokenizer of a folder or an id, with a padding token."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(model, trust_remote_code=code, revision=revision or "main")
    except (OSError, ValueError) as error:
        if Path(model).is_dir():
            raise invalid(
                f"the tokenizer in {model} cannot be loaded: {_first_line(error)}", "Use a complete model."
            ) from error
        raise of_hub(error, model, revision) from error
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def chat_template_text(setting: str) -> str:
    """ModelConfig.chat_template: a file, or the template itself on one line with escapes."""
    if not any(character in setting for character in "{}\n"):
        path = Path(setting)
        if not path.is_file():
            raise invalid(
                f"ModelConfig.chat_template: {setting} is neither a file nor a template",
                "Give the path of a mounted file.",
            )
        return path.read_text(encoding="utf-8")
    return setting.replace("\\n", "\n").replace("\\t", "\t")
