"""`prepare-dataset`: downloads what KAITO_DATASET_URLS names, and checks that it can be trained on."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from kaito_runtime.outcome import ArgumentParser, run
from kaito_runtime.tune.config import read_config
from kaito_runtime.tune.dataset import load_dataset, training_rows
from kaito_runtime.tune.download import download_all
from kaito_runtime.tune.failures import invalid

URLS = "KAITO_DATASET_URLS"
_SHOWN_COLUMNS = 50


def prepare(arguments: list[str] | None = None) -> dict[str, Any]:
    """What the program does; returns its result."""
    parser = ArgumentParser(prog="prepare-dataset", description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument(
        "--chat-template-of", default=None, help="a model whose tokenizer must have a chat template for chats"
    )
    given = parser.parse_args(arguments)
    download_all(_urls(), given.data)
    config = read_config(given.config, None)
    with tempfile.TemporaryDirectory(prefix="dataset-") as cache:
        dataset = load_dataset(
            given.data, config.dataset, text_field=config.training.get("dataset_text_field"), cache=Path(cache)
        )
        template = config.model.chat_template is not None or _has_chat_template(given.chat_template_of)
        rows = training_rows(dataset, chat_template=template)
        return {
            "rows": len(rows),
            "format": dataset.files.format,
            "columns": dataset.names[:_SHOWN_COLUMNS],
            "kind": dataset.columns.kind,
            "digest": dataset.files.digest(),
        }


def _urls() -> list[str]:
    text = os.environ.get(URLS, "").strip()
    if not text:
        return []
    try:
        urls = json.loads(text)
    except json.JSONDecodeError as error:
        raise invalid(f"{URLS} is not JSON: {error}", "Set a JSON list of addresses.") from error
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        raise invalid(f"{URLS} is not a list of addresses", "Set a JSON list of addresses.")
    return urls


def _has_chat_template(model: str | None) -> bool:
    """True as well where nobody says which model it is: tune will see."""
    if model is None:
        return True
    from kaito_runtime.tune.base_model import tokenizer_of

    return tokenizer_of(model).chat_template is not None


def main() -> NoReturn:
    """The console script."""
    run(prepare)


if __name__ == "__main__":
    main()
