"""vLLM's command line as it was given: which flag has which values, changed only where `serve` has something to say.

vLLM's own parser isn't used: importing it takes seconds and reaches for the GPU, and it refuses what it doesn't know,
while `serve` looks at a few flags only and hands on the rest as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from kaito_runtime.outcome import RuntimeFailure

_FLAG = re.compile(r"-{1,2}[A-Za-z]")


class Flags:
    """Flags in their order. Names are written without leading dashes, with dashes for underscores (vLLM takes both)."""

    def __init__(self, arguments: Iterable[str]) -> None:
        self.positional: list[str] = []
        self._flags: list[tuple[str, str, list[str]]] = []
        for argument in arguments:
            if _FLAG.match(argument):
                written, equals, value = argument.partition("=")
                self._flags.append((flag_name(written), written, [value] if equals else []))
            elif self._flags:
                self._flags[-1][2].append(argument)
            else:
                self.positional.append(argument)

    def __contains__(self, name: str) -> bool:
        return any(known == name for known, _, _ in self._flags)

    def names(self) -> list[str]:
        return [name for name, _, _ in self._flags]

    def all(self, name: str) -> list[str]:
        """Every value of a flag, in order."""
        return [value for known, _, values in self._flags if known == name for value in values]

    def last(self, name: str) -> str | None:
        """The value that counts when a flag is repeated; None when it is absent or bare."""
        values = self.all(name)
        return values[-1] if values else None

    def number(self, name: str) -> int | None:
        text = self.last(name)
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            raise RuntimeFailure("InvalidInput", f"--{name}={text}: not a whole number") from None

    def remove(self, *names: str) -> None:
        self._flags = [flag for flag in self._flags if flag[0] not in names]

    def set(self, name: str, *values: str) -> None:
        """Replaces the flag; without values it is a bare one."""
        self.remove(name)
        self._flags.append((name, f"--{name}", list(values)))

    def add(self, name: str, value: str) -> None:
        """One more value of a flag that may be repeated."""
        self._flags.append((name, f"--{name}", [value]))

    def merge(self, options: Mapping[str, str]) -> None:
        """Takes options by name ('' is a bare flag); they win, whichever way round a switch is spelt (`x`, `no-x`)."""
        for name, value in options.items():
            self.remove(negated(name))
            self.set(name, *([] if value == "" else [value]))

    def arguments(self) -> list[str]:
        """The command line again: `--name=value`, or `--name value value …`."""
        rendered = list(self.positional)
        for _, written, values in self._flags:
            if len(values) == 1 and written.startswith("--"):
                rendered.append(f"{written}={values[0]}")
            else:
                rendered.extend([written, *values])
        return rendered


def flag_name(written: str) -> str:
    """Without leading dashes. Underscores are dashes only before the first dot: behind it are keys of a JSON value."""
    head, dot, keys = written.lstrip("-").partition(".")
    return head.replace("_", "-") + dot + keys


def negated(name: str) -> str:
    """The option that switches a flag off, and the flag that such an option switches."""
    return name[3:] if name.startswith("no-") else f"no-{name}"
