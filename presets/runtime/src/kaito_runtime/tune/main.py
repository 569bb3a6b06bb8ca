"""`tune`: trains an adapter, from its last checkpoint where there is one."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NoReturn

from kaito_runtime.outcome import ArgumentParser, log, run
from kaito_runtime.tune.base_model import chat_template_text, find_base_model, tokenizer_of
from kaito_runtime.tune.config import TrainingConfig, method_of, parse_config
from kaito_runtime.tune.dataset import load_dataset, training_rows
from kaito_runtime.tune.failures import invalid
from kaito_runtime.tune.files import digest_of_value
from kaito_runtime.tune.job import Job
from kaito_runtime.tune.launch import launch
from kaito_runtime.tune.output_folder import OutputFolder
from kaito_runtime.tune.stop import StopRequest

_NO_INFLUENCE = (
    "output_dir",
    "report_to",
    "run_name",
    "disable_tqdm",
    "log_level",
    "log_level_replica",
    "log_on_each_node",
)
"""Arguments that change what is printed or kept, not what is trained."""


def tune(arguments: list[str] | None = None) -> dict[str, Any]:
    """What the program does; returns its result."""
    stop = StopRequest()
    stop.listen()
    parser = ArgumentParser(prog="tune", description=__doc__)
    parser.add_argument("--method", required=True)
    parser.add_argument("--model", required=True, help="an id of the Hugging Face hub, or a folder")
    parser.add_argument("--revision", default=None)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--download-dir", type=Path, default=None)
    given = parser.parse_args(arguments)
    if given.processes < 1:
        raise invalid(f"--processes={given.processes} is less than 1", "Give the number of GPUs.")
    text = given.config.read_text(encoding="utf-8") if given.config.exists() else ""
    config = parse_config(text, method_of(given.method))
    base = find_base_model(given.model, revision=_revision(given.revision, config), preset=given.preset)
    with tempfile.TemporaryDirectory(prefix="tune-") as work:
        dataset = load_dataset(
            given.data, config.dataset, text_field=config.training.get("dataset_text_field"), cache=Path(work) / "cache"
        )
        digest = dataset.files.digest()
        fingerprint = digest_of_value(
            {"base": base.identity, "data": digest, "processes": given.processes, "parameters": _parameters(config)}
        )
        output = OutputFolder(given.output, fingerprint)
        if (result := output.completed()) is not None:
            log(f"{given.output} holds this very training, complete")
            return result
        folder = base.fetch(given.download_dir, code=config.model.trust_remote_code)
        rows = training_rows(dataset, chat_template=_has_template(config, folder))
        output.claim()
        rows.save_to_disk(f"{work}/rows")
        job = Job(
            method=config.method,
            config=text,
            model=str(folder),
            model_name=base.name,
            revision=base.revision,
            preset=given.preset,
            rows=f"{work}/rows",
            dataset={
                "digest": digest,
                "format": dataset.files.format,
                "kind": dataset.columns.kind,
                "rows": len(rows),
                "files": [file.name for file in dataset.files.files[:20]],
            },
            output=str(given.output),
            fingerprint=fingerprint,
            processes=given.processes,
        )
        if given.processes > 1:
            return launch(job)
        # Here, as it imports what takes seconds.
        from kaito_runtime.tune.training import train

        result = train(job, stop)
        if result is None:
            raise RuntimeError("the only process is not rank 0")
        return result


def _revision(given: str | None, config: TrainingConfig) -> str | None:
    """The preset's, unless the user asks for one."""
    return config.model.revision if "ModelConfig.revision" in config.asked else given


def _parameters(config: TrainingConfig) -> dict[str, Any]:
    parameters = config.parameters()
    training = {
        key: value
        for key, value in parameters["TrainingArguments"].items()
        if key not in _NO_INFLUENCE and not key.startswith(("save_", "logging_", "hub_"))
    }
    return parameters | {"method": config.method, "TrainingArguments": training}


def _has_template(config: TrainingConfig, folder: Path) -> bool:
    if config.training.get("chat_template_path"):
        return True
    if config.model.chat_template is not None:
        chat_template_text(config.model.chat_template)
        return True
    return tokenizer_of(str(folder), code=config.model.trust_remote_code).chat_template is not None


def main() -> NoReturn:
    """The console script."""
    run(tune)


if __name__ == "__main__":
    main()
