"""`serve`: fetches the model, saying how far it is, then runs vLLM's OpenAI server until it is told to stop."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from kaito_runtime.outcome import RuntimeFailure, log, run
from kaito_runtime.serve.adapters import apply_adapters, read_strengths
from kaito_runtime.serve.config_file import take_kaito_flags
from kaito_runtime.serve.flags import Flags
from kaito_runtime.serve.hub import PATTERNS, download, gib
from kaito_runtime.serve.progress import Progress
from kaito_runtime.serve.vllm_process import VllmProcess, refused_parsers
from kaito_runtime.serve.waiting import WaitingServer

PORT = 5000
ADAPTERS_DIRECTORY = Path("/mnt/adapter")
MIDDLEWARE = "kaito_runtime.serve.chat.ChatMiddleware"


class Stop:
    """SIGTERM and SIGINT: handed to vLLM when it runs, the end of the program before."""

    def __init__(self) -> None:
        self._process: VllmProcess | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def hand_to(self, process: VllmProcess) -> None:
        self._process = process

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        if self._process is not None:
            self._process.stop(number)
            return
        log(f"stopped by {signal.Signals(number).name}; a download goes on where it is when started again")
        # Threads of the download would be waited for otherwise.
        os._exit(128 + number)


def main() -> NoReturn:
    run(lambda: serve(sys.argv[1:]))


def serve(arguments: Sequence[str]) -> None:
    stop = Stop()
    flags = Flags(arguments)
    adapters = take_kaito_flags(flags) or Path(os.environ.get("KAITO_ADAPTERS_DIR", ADAPTERS_DIRECTORY))
    strengths = read_strengths(os.environ.get("KAITO_ADAPTER_STRENGTHS"))
    if "port" not in flags:
        flags.set("port", str(PORT))
    model = take_model(flags)
    folder = local_model(model, flags)
    apply_adapters(flags, adapters, strengths, folder, Path(tempfile.gettempdir()) / "kaito-adapters")
    if "headless" not in flags:
        flags.add("middleware", MIDDLEWARE)
    try:
        run_vllm(str(folder or model), flags, stop)
    except RuntimeFailure as failure:
        refused = refused_parsers(failure)
        if not refused:
            raise
        # Parsers are chosen by architecture, and a model's tokenizer may lack the tokens of its family.
        log(f"this model is served without {', '.join(f'--{name}' for name in refused)}: {failure.message}")
        flags.remove(*refused)
        run_vllm(str(folder or model), flags, stop)


def run_vllm(model: str, flags: Flags, stop: Stop) -> None:
    process = VllmProcess([model, *flags.arguments()], environment())
    stop.hand_to(process)
    process.wait()


def take_model(flags: Flags) -> str:
    """The flag --model, or the first word as `vllm serve` takes it."""
    model = flags.last("model")
    if model is None:
        model = flags.positional[0] if flags.positional else None
        flags.positional = flags.positional[1:]
    flags.remove("model")
    if not model:
        raise RuntimeFailure("InvalidInput", "--model is missing: a folder, or a model of the Hugging Face hub")
    if flags.positional:
        raise RuntimeFailure("InvalidInput", f"{flags.positional[0]}: neither a flag nor the value of one")
    return model


def local_model(model: str, flags: Flags) -> Path | None:
    """The folder with the model's files, after a download where needed; None when vLLM itself fetches them."""
    if Path(model).is_dir():
        return checked_folder(Path(model))
    if model.startswith(("/", "./", "../")):
        raise RuntimeFailure("InvalidInput", f"--model={model}: no such folder")
    load_format = flags.last("load-format") or "auto"
    offline = os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0")
    if "://" in model or load_format not in PATTERNS or offline or os.environ.get("VLLM_USE_MODELSCOPE") == "True":
        log(f"model {model}: fetched by vLLM itself")
        return None
    folder = fetch(model, load_format, flags)
    if "served-model-name" not in flags:
        flags.set("served-model-name", model)
    # They are about the repository; what is served from now on is a folder with the right revision.
    flags.remove("revision", "code-revision")
    if "tokenizer" not in flags:
        flags.remove("tokenizer-revision")
    return folder


def fetch(model: str, load_format: str, flags: Flags) -> Path:
    """Downloads the model; the port tells progress meanwhile, except on nodes that serve no HTTP."""
    # Its own progress bars fill the log; ours are lines. Read when the library is first imported.
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    directory = flags.last("download-dir")
    if directory is None:
        from huggingface_hub.constants import HF_HUB_CACHE

        directory = HF_HUB_CACHE
    progress = Progress(model)
    host, port = flags.last("host") or "", flags.number("port")
    server = None if "headless" in flags or port is None else WaitingServer(host, port, progress.metrics)
    try:
        folder = download(model, flags.last("revision"), load_format, Path(directory), progress)
    finally:
        progress.stop()
        if server is not None:
            server.stop()
    if progress.total is not None:
        log(f"{model}: {gib(progress.total)} are complete in {folder}")
    return folder


def checked_folder(folder: Path) -> Path:
    if not any((folder / name).is_file() for name in ("config.json", "params.json")):
        present = ", ".join(sorted(path.name for path in folder.iterdir())[:10])
        raise RuntimeFailure(
            "InvalidInput",
            f"--model={folder}: no model: config.json is missing (there: {present or 'nothing'})",
            remedy="Check that the image or the volume holds the model's files in this folder.",
        )
    return folder


def environment() -> dict[str, str]:
    """vLLM's environment: ours, and no reports to its makers unless asked for."""
    return {"VLLM_NO_USAGE_STATS": "1", **os.environ}


if __name__ == "__main__":
    main()
