"""What values a key of the configuration takes, read from the annotations of the library's own class."""

from __future__ import annotations

import dataclasses
import difflib
import enum
import types
import typing
from dataclasses import dataclass
from typing import Any, Literal, Union

_SCALARS: dict[Any, str] = {bool: "bool", int: "int", float: "float", str: "str", dict: "dict", list: "list"}
_ORDER = ("bool", "int", "float", "str", "list", "list[str]", "list[int]", "dict", "null")


class Mismatch(Exception):  # noqa: N818 - told to the user as a part of a RuntimeFailure
    """A value that a key does not take; the text says what it takes."""


@dataclass(frozen=True)
class Kind:
    """A union of simple types and of fixed words."""

    types: frozenset[str]
    choices: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """As in the file for other programs: `int | null`, `'no' | 'steps' | 'epoch'`."""
        words = [f"'{choice}'" for choice in sorted(self.choices)]
        return " | ".join(words + sorted(self.types, key=_position))

    def read(self, value: Any) -> Any:
        """The value as the library wants it.

        YAML 1.1 reads `2e-5` as text and `no` as false, so text that is a number, and false where `no` is meant, are
        taken as what they mean.
        """
        if value is None or (isinstance(value, bool) and "bool" in self.types):
            return value
        if isinstance(value, bool):
            if not value and "no" in self.choices:
                return "no"
            raise Mismatch(self._wants(value))
        if isinstance(value, (int, float)):
            return self._read_number(value)
        if isinstance(value, str):
            return self._read_text(value)
        if isinstance(value, list):
            return self._read_list(value)
        if isinstance(value, dict) and "dict" in self.types:
            return value
        raise Mismatch(self._wants(value))

    def _read_number(self, value: float) -> Any:
        if "int" in self.types and float(value).is_integer():
            return int(value)
        if "float" in self.types:
            return float(value)
        if "str" in self.types:
            return str(value)
        raise Mismatch(self._wants(value))

    def _read_text(self, value: str) -> Any:
        if value in self.choices:
            return value
        if "str" in self.types:
            return value
        if "bool" in self.types and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if {"int", "float"} & self.types:
            try:
                return self._read_number(float(value))
            except ValueError:
                pass
        raise Mismatch(self._wants(value))

    def _read_list(self, value: list[Any]) -> Any:
        if "list" in self.types:
            return value
        if "list[str]" in self.types and all(isinstance(item, str) for item in value):
            return value
        if "list[int]" in self.types and all(isinstance(item, int) and not isinstance(item, bool) for item in value):
            return value
        raise Mismatch(self._wants(value))

    def _wants(self, value: Any) -> str:
        near = difflib.get_close_matches(value, self.choices, n=1) if isinstance(value, str) else []
        hint = f"; did you mean {near[0]}?" if near else ""
        return f"{shown(value)} is not of type {self}{hint}"


def shown(value: Any) -> str:
    """A value for a message, shortened."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def kind_of_hint(hint: Any) -> Kind:
    """The kind that an annotation stands for; a class of its own is written as a map of its fields."""
    origin = typing.get_origin(hint)
    if origin in (Union, types.UnionType):
        kinds = [kind_of_hint(member) for member in typing.get_args(hint)]
        names = frozenset[str]().union(*(kind.types for kind in kinds))
        choices = frozenset[str]().union(*(kind.choices for kind in kinds))
        # `SchedulerType | str` means a member's name, or the member: other text is refused by the library, late.
        if any(isinstance(member, type) and issubclass(member, enum.Enum) for member in typing.get_args(hint)):
            names -= {"str"}
        return Kind(names, choices)
    if hint is None or hint is type(None):
        return Kind(frozenset({"null"}))
    if origin is Literal:
        values = typing.get_args(hint)
        words = frozenset(value for value in values if isinstance(value, str))
        return Kind(frozenset(_SCALARS[type(value)] for value in values if not isinstance(value, str)), words)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return Kind(frozenset(), frozenset(str(member.value) for member in hint))
    if origin in (list, tuple, set):
        (element, *_) = typing.get_args(hint) or (Any,)
        inner = {str: "list[str]", int: "list[int]"}.get(element)
        is_enum = isinstance(element, type) and issubclass(element, enum.Enum)
        return Kind(frozenset({"list[str]" if is_enum else inner or "list"}))
    if origin is dict or dataclasses.is_dataclass(hint):
        return Kind(frozenset({"dict"}))
    if hint in _SCALARS:
        return Kind(frozenset({_SCALARS[hint]}))
    return Kind(frozenset({"bool", "int", "float", "str", "list", "dict", "null"}))


def kind_of_default(default: Any) -> Kind:
    """The kind of a parameter that has no annotation."""
    if default is None:
        return Kind(frozenset({"str", "null"}))
    return Kind(frozenset({_SCALARS[type(default)]}))


def _position(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)
