"""Every format and kind of columns, and what cannot be trained on."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from kaito_runtime.outcome import RuntimeFailure
from kaito_runtime.tune import prepare
from kaito_runtime.tune.dataset import load_dataset, training_rows
from kaito_runtime.tune.sections import DatasetConfig

CHAT = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
ROWS: list[dict[str, Any]] = [{"prompt": f"say {number}", "completion": f"it is {number}"} for number in range(5)]


def table(rows: list[dict[str, Any]]) -> Any:
    import pyarrow

    return pyarrow.Table.from_pylist(rows)


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow
    import pyarrow.csv
    import pyarrow.parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    match path.name.split("?")[0].removesuffix(".gz").rpartition(".")[2]:
        case "parquet" | "bin":
            pyarrow.parquet.write_table(table(rows), path)
        case "csv":
            pyarrow.csv.write_csv(table(rows), path)
        case "json":
            path.write_text(json.dumps(rows))
        case "jsonl":
            text = "".join(json.dumps(row) + "\n" for row in rows)
            path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
        case "stream":
            with pyarrow.ipc.new_stream(path, table(rows).schema) as writer:
                writer.write_table(table(rows))
        case "arrow":
            with pyarrow.ipc.new_file(path, table(rows).schema) as writer:
                writer.write_table(table(rows))


def made(folder: Path, *, template: bool = True, **config: Any) -> tuple[str, list[dict[str, Any]]]:
    dataset = load_dataset(folder, DatasetConfig(**config), cache=folder.parent / "cache")
    return dataset.columns.kind, list(training_rows(dataset, chat_template=template))


def refusal(folder: Path, *, template: bool = True, **config: Any) -> str:
    with pytest.raises(RuntimeFailure) as caught:
        made(folder, template=template, **config)
    assert caught.value.cause == "InvalidInput"
    return caught.value.message


@pytest.mark.parametrize(
    "name",
    [
        "rows.parquet",
        "data/rows.jsonl",
        "rows.json",
        "rows.csv",
        "rows.arrow",
        "rows.jsonl.gz",
        "train.parquet?download=true",
        "my-parquet-rows.bin",
    ],
)
def test_a_format_is_read(tmp_path: Path, name: str) -> None:
    write(tmp_path / "data" / name, ROWS)
    assert made(tmp_path / "data") == ("prompt-completion", ROWS)


def test_an_arrow_stream_is_read(tmp_path: Path) -> None:
    write(tmp_path / "data" / "rows.stream", ROWS)
    (tmp_path / "data" / "rows.stream").rename(tmp_path / "data" / "rows.arrow")
    assert made(tmp_path / "data") == ("prompt-completion", ROWS)


def test_a_folder_of_save_to_disk_is_read(tmp_path: Path) -> None:
    from datasets import Dataset, DatasetDict

    Dataset.from_list(ROWS).save_to_disk(str(tmp_path / "data" / "mine"))
    DatasetDict({"train": Dataset.from_list(ROWS), "test": Dataset.from_list(ROWS[:1])}).save_to_disk(
        str(tmp_path / "splits")
    )
    assert made(tmp_path / "data") == ("prompt-completion", ROWS)
    assert made(tmp_path / "splits") == ("prompt-completion", ROWS)


def test_files_of_one_kind_are_read_together_in_order(tmp_path: Path) -> None:
    write(tmp_path / "data" / "train-00001.jsonl", ROWS[3:])
    write(tmp_path / "data" / "train-00000.jsonl", ROWS[:3])
    write(tmp_path / "data" / "test-00000.jsonl", [{"prompt": "held", "completion": "back"}])
    (tmp_path / "data" / "README.md").write_text("about json and parquet")
    (tmp_path / "data" / ".hidden.parquet").write_text("no")
    (tmp_path / "data" / "dataset_infos.json").write_text("{}")
    assert made(tmp_path / "data") == ("prompt-completion", ROWS)


def test_the_digest_is_that_of_the_content(tmp_path: Path) -> None:
    for folder in ("a", "b", "c"):
        write(tmp_path / folder / "rows.jsonl", ROWS if folder != "c" else ROWS[:2])
    (tmp_path / "b" / "rows.jsonl").rename(tmp_path / "b" / "other.jsonl")
    digests = [load_dataset(tmp_path / name, DatasetConfig(), cache=tmp_path / "x").files.digest() for name in "abc"]
    assert digests[0] == digests[1] != digests[2]


def test_the_configuration_names_file_and_format(tmp_path: Path) -> None:
    write(tmp_path / "data" / "rows.parquet", ROWS)
    write(tmp_path / "data" / "more" / "rows.bin", ROWS[:2])
    write(tmp_path / "data" / "rows.csv", ROWS[:1])
    assert "files of several formats" in refusal(tmp_path / "data")
    assert len(made(tmp_path / "data", dataset_extension="csv")[1]) == 1
    assert len(made(tmp_path / "data", dataset_path="more/rows.bin", dataset_extension="parquet")[1]) == 2
    assert "dataset_path" in refusal(tmp_path / "data", dataset_path="absent.csv")
    assert "is not under /mnt" in refusal(tmp_path / "data", dataset_path="../../etc/passwd")
    assert "dataset_extension: tar is none of" in refusal(tmp_path / "data", dataset_extension="tar")


@pytest.mark.parametrize(
    ("row", "kind", "expected"),
    [
        ({"messages": CHAT}, "chat", {"messages": CHAT}),
        (
            {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]},
            "chat",
            {"messages": CHAT},
        ),
        ({"prompt": "a", "completion": "b"}, "prompt-completion", {"prompt": "a", "completion": "b"}),
        (
            {"instruction": "add", "input": "1 2", "output": "3"},
            "prompt-completion",
            {
                "prompt": [{"role": "user", "content": "add\n\n1 2"}],
                "completion": [{"role": "assistant", "content": "3"}],
            },
        ),
        (
            {"question": "q", "answer": "a"},
            "prompt-completion",
            {"prompt": [{"role": "user", "content": "q"}], "completion": [{"role": "assistant", "content": "a"}]},
        ),
        ({"text": "words", "id": 3}, "text", {"text": "words"}),
    ],
)
def test_columns_are_recognised(tmp_path: Path, row: dict[str, Any], kind: str, expected: dict[str, Any]) -> None:
    write(tmp_path / "data" / "rows.jsonl", [row])
    assert made(tmp_path / "data") == (kind, [expected])


def test_without_a_chat_template_questions_are_text(tmp_path: Path) -> None:
    write(tmp_path / "data" / "rows.jsonl", [{"question": "q", "answer": "a"}])
    assert made(tmp_path / "data", template=False)[1] == [{"prompt": "q\n\n", "completion": "a"}]


def test_without_a_chat_template_a_chat_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "data" / "rows.jsonl", [{"messages": CHAT}])
    assert "no chat template" in refusal(tmp_path / "data", template=False)


def test_messages_in_csv_are_json(tmp_path: Path) -> None:
    write(tmp_path / "data" / "rows.csv", [{"messages": json.dumps(CHAT)}])
    assert made(tmp_path / "data") == ("chat", [{"messages": CHAT}])


def test_named_columns_are_used(tmp_path: Path) -> None:
    write(tmp_path / "data" / "rows.jsonl", [{"c": "ask", "r": "say", "m": CHAT, "text": "t"}])
    assert made(tmp_path / "data", context_column="c", response_column="r")[1][0]["completion"][0]["content"] == "say"
    assert made(tmp_path / "data", response_column="r") == ("text", [{"text": "say"}])
    assert made(tmp_path / "data", messages_column="m") == ("chat", [{"messages": CHAT}])
    assert "has no column x; it has c, r, m, text" in refusal(tmp_path / "data", response_column="x")
    assert "keep one" in refusal(tmp_path / "data", messages_column="m", context_column="c")


def test_unknown_columns_are_listed(tmp_path: Path) -> None:
    write(tmp_path / "data" / "rows.csv", [{"left": "1", "right": "2"}])
    assert "columns are left, right" in refusal(tmp_path / "data")


def test_empty_rows_are_left_out_and_bad_ones_named(tmp_path: Path) -> None:
    write(tmp_path / "data" / "rows.jsonl", [{"text": "a"}, {"text": ""}, {"text": None}])
    assert made(tmp_path / "data") == ("text", [{"text": "a"}])
    write(tmp_path / "empty" / "rows.jsonl", [{"text": ""}])
    assert "are empty" in refusal(tmp_path / "empty")
    odd = [{"messages": CHAT}, {"messages": [{"role": "robot", "content": "x"}]}]
    write(tmp_path / "odd" / "rows.jsonl", odd)
    assert "row 2 of the dataset rows.jsonl: column messages: the role 'robot'" in refusal(tmp_path / "odd")
    write(tmp_path / "silent" / "rows.jsonl", [{"messages": CHAT[:1]}])
    assert "no message has the role assistant" in refusal(tmp_path / "silent")


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.parquet").write_bytes(b"PAR1 is not enough")
    assert "cannot read the dataset rows.parquet as parquet" in refusal(tmp_path / "data")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "picture.png").write_bytes(b"\x89PNG")
    assert "no dataset in" in refusal(tmp_path / "none")


def test_prepare_dataset_tells_what_there_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(prepare.URLS, raising=False)
    write(tmp_path / "data" / "rows.jsonl", [{"messages": CHAT}])
    result = prepare.prepare([f"--data={tmp_path / 'data'}", f"--config={tmp_path / 'absent.yaml'}"])
    digest = result.pop("digest")
    assert result == {"rows": 1, "format": "json", "columns": ["messages"], "kind": "chat"}
    assert digest.startswith("sha256:")
