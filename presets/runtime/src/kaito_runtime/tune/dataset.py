"""Loads a dataset and makes the rows that the trainer takes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaito_runtime.outcome import RuntimeFailure, log
from kaito_runtime.tune.dataset_columns import BadRow, Columns, converter, is_empty, recognise
from kaito_runtime.tune.dataset_files import DatasetFiles, find_dataset
from kaito_runtime.tune.failures import invalid
from kaito_runtime.tune.sections import DatasetConfig


@dataclass(frozen=True)
class LoadedDataset:
    """A dataset on disk, and what its columns mean."""

    files: DatasetFiles
    table: Any
    """datasets.Dataset with the columns as they are in the files."""
    columns: Columns

    @property
    def names(self) -> list[str]:
        """The columns in the files."""
        return list(self.table.column_names)


def load_dataset(
    data: Path, config: DatasetConfig, *, text_field: str | None = None, cache: Path | None = None
) -> LoadedDataset:
    """Finds and opens the dataset. The rows lie in `cache`, as files that are mapped into memory."""
    if text_field and text_field != "text" and config.response_column == "text":
        config = DatasetConfig(**{**vars(config), "response_column": text_field})
    files = find_dataset(data, config)
    log(f"dataset: {files.format}, {files.names()}")
    table = _read(files, cache)
    if len(table) == 0:
        raise invalid(f"the dataset {files.names()} has no rows", "Give a dataset with rows.")
    return LoadedDataset(files, table, recognise(list(table.column_names), config))


def training_rows(dataset: LoadedDataset, *, chat_template: bool) -> Any:
    """All rows for the trainer, as a datasets.Dataset. Empty rows are left out and told; a bad one is named."""
    from datasets import Dataset

    if dataset.columns.kind == "chat" and not chat_template:
        raise invalid(
            "the dataset is a chat, and the model's tokenizer has no chat template",
            "Set ModelConfig.chat_template, or give a dataset with the columns prompt and completion, or text.",
        )
    convert = converter(dataset.columns, chat_template=chat_template)

    def make(row: dict[str, Any], index: int) -> dict[str, Any]:
        try:
            return convert(row)
        except BadRow as bad:
            raise invalid(
                f"row {index + 1} of the dataset {dataset.files.names()}: {bad}", "Correct or remove the row."
            ) from bad

    def numbered() -> Iterator[dict[str, Any]]:
        for index, row in enumerate(dataset.table):
            if not is_empty(row, dataset.columns):
                yield make(row, index)

    if _is_text(dataset):
        # Rows out of JSON text have keys of their own each, so the columns' types follow from all of them together.
        made = Dataset.from_list(list(numbered()))
    else:
        full = [index for index, row in enumerate(dataset.table) if not is_empty(row, dataset.columns)]
        numbers = dataset.table.add_column("_row", list(range(len(dataset.table)))).select(full)
        made = numbers.map(
            lambda row: make({key: value for key, value in row.items() if key != "_row"}, row["_row"]),
            remove_columns=numbers.column_names,
        )
    left_out = len(dataset.table) - len(made)
    if left_out:
        log(f"{left_out} of {len(dataset.table)} rows are empty and left out")
    if len(made) == 0:
        raise invalid(f"all rows of the dataset {dataset.files.names()} are empty", "Give a dataset with text in it.")
    return made


def _is_text(dataset: LoadedDataset) -> bool:
    """A chat whose messages are JSON text, as in CSV files."""
    feature = dataset.table.features[dataset.columns.prompt] if dataset.columns.kind == "chat" else None
    return getattr(feature, "dtype", None) in ("string", "large_string", "json")


def _read(files: DatasetFiles, cache: Path | None) -> Any:
    import datasets
    from datasets.exceptions import DatasetGenerationError, DatasetsError

    datasets.disable_progress_bars()
    try:
        if files.saved is not None:
            return datasets.load_from_disk(str(files.saved))
        return datasets.load_dataset(
            files.format,
            data_files=[str(file) for file in files.files],
            split="train",
            cache_dir=str(cache) if cache else None,
        )
    except (DatasetsError, DatasetGenerationError, ValueError, TypeError, OSError) as error:
        raise _unreadable(files, error) from error


def _unreadable(files: DatasetFiles, error: Exception) -> RuntimeFailure:
    cause = error.__cause__ or error
    if isinstance(cause, OSError) and cause.errno is not None:
        # The disk's trouble, not the data's.
        return RuntimeFailure("Internal", f"cannot read the dataset {files.names()}: {cause}", retryable=True)
    return invalid(
        f"cannot read the dataset {files.names()} as {files.format}: {' '.join(str(cause).split())[:600]}",
        "Check that the files are complete and that all of them have the same columns; "
        "DatasetConfig.dataset_extension names the format where the file's name does not.",
    )
