"""KAITO's own flags and its configuration file, for those who start `serve` by hand as KAITO's server.

In a Workspace's pod the file's options are in the flags already (manifests/command-line.ts), and none of these flags is
given.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from kaito_runtime.outcome import RuntimeFailure, log
from kaito_runtime.serve.flags import Flags, flag_name, negated

_WITHOUT_EFFECT = {
    "kaito-max-probe-steps": "vLLM finds the longest context by itself: --max-model-len=auto",
    "kaito-disable-rate-limit": "no requests are refused for being many; they wait in vLLM's queue",
    "kaito-kv-cache-cpu-memory-utilization": "the cache stays on the GPU; vLLM's own --kv-offloading-size changes that",
}
_CONFIG_FILE = "kaito-config-file"
_ADAPTERS_DIR = "kaito-adapters-dir"


def take_kaito_flags(flags: Flags) -> Path | None:
    """Removes KAITO's flags and applies the configuration file that one of them names.

    Returns the adapters' folder, if one is named.
    """
    for name in [name for name in flags.names() if name.startswith("kaito-")]:
        if name in _WITHOUT_EFFECT:
            log(f"--{name} has no effect here: {_WITHOUT_EFFECT[name]}")
        elif name not in (_CONFIG_FILE, _ADAPTERS_DIR):
            known = ", ".join(f"--{known}" for known in (_ADAPTERS_DIR, _CONFIG_FILE, *_WITHOUT_EFFECT))
            raise RuntimeFailure("InvalidInput", f"--{name}: not a flag of KAITO's; there are {known}")
    file = flags.last(_CONFIG_FILE)
    directory = flags.last(_ADAPTERS_DIR)
    flags.remove(_CONFIG_FILE, _ADAPTERS_DIR, *_WITHOUT_EFFECT)
    if file:
        flags.merge(read_config(Path(file)))
    return Path(directory) if directory else None


def read_config(path: Path) -> dict[str, str]:
    """vLLM's options in a configuration file: name → value; '' is a bare flag."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RuntimeFailure("InvalidInput", f"{path}: can't be read as YAML: {error}") from None
    section = document.get("vllm") if isinstance(document, Mapping) else None
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        raise RuntimeFailure("InvalidInput", f"{path}: vllm: must be a map of option: value, not {section!r}")
    options: dict[str, str] = {}
    for key, value in section.items():
        options.update(_option(path, flag_name(str(key)), value))
    return options


def _option(path: Path, name: str, value: object) -> dict[str, str]:
    if isinstance(value, bool) and "." in name:
        # A field of a structured option has no negation of its own.
        return {name: str(value)}
    if value is None or value is True:
        return {name: ""}
    if value is False:
        return {negated(name): ""}
    if isinstance(value, str | int | float):
        return {name: str(value)}
    raise RuntimeFailure("InvalidInput", f"{path}: vllm.{name}: must be text, a number, true or false, not {value!r}")
