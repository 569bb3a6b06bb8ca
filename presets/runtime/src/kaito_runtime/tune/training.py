"""The training itself, as one of its processes does it."""

from __future__ import annotations

import importlib.metadata
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaito_runtime.outcome import log
from kaito_runtime.tune.base_model import chat_template_text, tokenizer_of
from kaito_runtime.tune.config import TrainingConfig, parse_config
from kaito_runtime.tune.failures import interrupted, invalid, of_training
from kaito_runtime.tune.files import read_json, write_json
from kaito_runtime.tune.job import Job
from kaito_runtime.tune.libraries import arguments_of, configured, lora_of, model_of
from kaito_runtime.tune.output_folder import ADAPTER_FILES, SAVING, Checkpoint
from kaito_runtime.tune.stop import StopRequest

Result = dict[str, Any]

_VERSIONS = ("torch", "transformers", "trl", "peft", "accelerate", "bitsandbytes", "datasets")


def train(job: Job, stop: StopRequest) -> Result | None:
    """Trains, or goes on with a training. The result is rank 0's; the other processes return None."""
    try:
        return _train(job, stop)
    except Exception as error:
        raise of_training(error, method=job.method) from error


def _train(job: Job, stop: StopRequest) -> Result | None:
    import torch
    from datasets import disable_progress_bars, load_from_disk
    from transformers import PrinterCallback, set_seed

    from kaito_runtime.tune.progress import Progress
    from kaito_runtime.tune.trainer import DurableTrainer

    disable_progress_bars()
    config = parse_config(job.config, job.method)
    output = job.output_folder
    arguments = arguments_of(config, job.output)
    set_seed(arguments.seed)
    training_rows, held_back = _split(load_from_disk(job.rows), config)
    with arguments.main_process_first(desc="looking for a checkpoint", local=True):
        checkpoint = output.newest_checkpoint()
    if checkpoint is not None and (done := _finished_state(checkpoint)) is not None:
        # The trainer would do one step too many when it is given its last checkpoint.
        log(f"checkpoint-{checkpoint.step} is the last one: nothing is left to train")
        spent = _Spent(checkpoint.seconds, checkpoint.tokens, checkpoint.step)
        return _finish(job, config, done, spent, lambda saved: _copy_adapter(checkpoint.folder, saved), arguments)
    tokenizer = tokenizer_of(job.model, code=config.model.trust_remote_code)
    if config.model.chat_template is not None:
        tokenizer.chat_template = chat_template_text(config.model.chat_template)
    progress = Progress(
        stop,
        seconds_before=checkpoint.seconds if checkpoint else 0.0,
        tokens_before=checkpoint.tokens if checkpoint else 0,
        checkpoint=checkpoint.step if checkpoint else None,
        saves=config.training["save_strategy"] != "no",
        agree=_agreement(arguments),
    )
    model = model_of(config, job.model, arguments)
    trainer = configured(
        "TrainingArguments, LoraConfig",
        lambda: DurableTrainer(
            model,
            args=arguments,
            train_dataset=training_rows,
            eval_dataset=held_back,
            processing_class=tokenizer,
            peft_config=lora_of(config, model),
            output=output,
            progress=progress,
        ),
    )
    if len(trainer.train_dataset) == 0:
        raise invalid(
            f"no row has anything to learn within TrainingArguments.max_length={arguments.max_length}",
            "Raise max_length, or set truncation_mode to keep_end.",
        )
    if arguments.fp16:
        # The gradient scaler takes no bfloat16, which TRL gives to the adapter of a quantized model.
        for parameter in trainer.model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(torch.float32)
    # The progress lines say it.
    trainer.remove_callback(PrinterCallback)
    if checkpoint is not None:
        log(f"going on from checkpoint-{checkpoint.step}")
    trainer.train(resume_from_checkpoint=str(checkpoint.folder) if checkpoint else None)
    steps = trainer.state.global_step
    if progress.stopped:
        raise interrupted(steps, trainer.state.max_steps, saved=progress.checkpoint == steps)
    trainer.accelerator.wait_for_everyone()
    spent = _Spent(progress.seconds, progress.tokens, checkpoint.step if checkpoint else None)
    adapter = trainer.accelerator.unwrap_model(trainer.model)
    return _finish(job, config, trainer.state, spent, lambda saved: adapter.save_pretrained(str(saved)), arguments)


@dataclass(frozen=True)
class _Spent:
    """Over all runs of the training; `resumed_from` is of the last."""

    seconds: float
    tokens: int
    resumed_from: int | None


def _finished_state(checkpoint: Checkpoint) -> Any:
    """The trainer's state in a checkpoint after the last step, or None."""
    from transformers import TrainerState

    state = TrainerState.load_from_json(str(checkpoint.folder / "trainer_state.json"))
    return state if state.global_step >= state.max_steps else None


def _copy_adapter(checkpoint: Path, saved: Path) -> None:
    saved.mkdir(parents=True)
    for name in ADAPTER_FILES:
        shutil.copyfile(checkpoint / name, saved / name)


def _split(rows: Any, config: TrainingConfig) -> tuple[Any, Any]:
    """Shuffled by the seed, so that a training that goes on sees the same order; then what is held back, or None."""
    if config.dataset.shuffle_dataset:
        rows = rows.shuffle(seed=config.dataset.shuffle_seed)
    share = config.dataset.train_test_split
    if share == 1:
        return rows, None
    trained = round(len(rows) * share)
    if trained in (0, len(rows)):
        raise invalid(
            f"DatasetConfig.train_test_split={share} leaves {trained} of {len(rows)} rows for training",
            "Set another share, or 1 to train on all rows.",
        )
    return rows.select(range(trained)), rows.select(range(trained, len(rows)))


def _agreement(arguments: Any) -> Callable[[bool, bool], tuple[bool, bool]]:
    """Makes all processes decide alike: true where one of them says so."""
    if arguments.world_size == 1:
        return lambda stop, save: (stop, save)
    import torch
    from torch import distributed

    def agree(stop: bool, save: bool) -> tuple[bool, bool]:
        flags = torch.tensor([int(stop), int(save)], device=arguments.device)
        distributed.all_reduce(flags, op=distributed.ReduceOp.MAX)
        together = flags.tolist()
        return bool(together[0]), bool(together[1])

    return agree


def _finish(
    job: Job,
    config: TrainingConfig,
    state: Any,
    spent: _Spent,
    write_adapter: Callable[[Path], None],
    arguments: Any,
) -> Result | None:
    """Rank 0 writes the adapter and what is known about it."""
    if arguments.process_index != 0:
        return None
    saved = Path(job.output) / SAVING
    write_adapter(saved)
    _name_base(saved / "adapter_config.json", job)
    losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
    evaluations = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
    result: Result = {
        "steps": state.global_step,
        "loss": round(losses[-1], 4) if losses else None,
        "tokensPerSecond": round(spent.tokens / spent.seconds, 1) if spent.seconds else None,
        "dataDigest": job.dataset["digest"],
        "trainedSeconds": round(spent.seconds, 1),
    }
    if spent.resumed_from is not None:
        result["resumedFrom"] = spent.resumed_from
    metrics = {
        "steps": state.global_step,
        "epochs": state.epoch,
        "loss": result["loss"],
        "evalLoss": evaluations[-1] if evaluations else None,
        "tokens": spent.tokens,
        "tokensPerSecond": result["tokensPerSecond"],
        "trainedSeconds": result["trainedSeconds"],
        "history": state.log_history,
    }
    manifest = {
        "baseModel": job.model_name,
        "baseRevision": job.revision,
        "preset": job.preset,
        "method": job.method,
        "dataDigest": job.dataset["digest"],
        "dataset": job.dataset,
        "parameters": config.parameters(),
        "processes": job.processes,
        "versions": {name: importlib.metadata.version(name) for name in _VERSIONS},
        "steps": state.global_step,
        "loss": result["loss"],
        "result": result,
    }
    asked = "TrainingArguments.save_strategy" in config.asked
    job.output_folder.finish(saved, manifest, metrics, keep_checkpoints=asked)
    log(f"trained {state.global_step} steps; the adapter is in {job.output}")
    return result


def _name_base(path: Path, job: Job) -> None:
    """The adapter names its base as others know it, not the folder it lay in here."""
    config = read_json(path)
    if config is None:
        raise RuntimeError(f"{path} was not written")
    write_json(path, config | {"base_model_name_or_path": job.model_name, "revision": job.revision})
