"""The configuration of a module: the table ``[tool.wasqlite-bridge]`` of pyproject.toml, checked."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from wasqlite.bridge.builder.features import FEATURES
from wasqlite.bridge.builder.linking import STACK_SIZE
from wasqlite.bridge.builder.report import BuildError
from wasqlite.bridge.builder.sources import Source, fetch_source, parse_source

TABLE = "wasqlite-bridge"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DEFINE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\([^)]*\))?(?:=.*)?", re.DOTALL)


@dataclass(frozen=True)
class Configuration:
    """What is built, and how. Paths and patterns of paths are relative to ``root``."""

    root: Path
    name: str
    sources: tuple[str, ...]
    output: str = "."
    include: tuple[str, ...] = ()
    defines: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    declarations: str = ""
    functions: tuple[str, ...] | None = None
    variables: tuple[str, ...] | None = None
    constants: tuple[str, ...] = ()
    stack: int = STACK_SIZE
    features: tuple[str, ...] = ()
    fetch: Mapping[str, Source] = field(default_factory=dict)
    # Where "{name}" at the beginning of a path is: the fetched sources.
    folders: Mapping[str, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise _error(f"name = {self.name!r} is no name of a module: letters, digits and underscores")
        if not self.sources:
            raise _error('sources is missing: name the C files, as in sources = ["src/*.c"]')
        if not self.headers and not self.declarations.strip():
            raise _error('name what Python may call: headers = ["point.h"], or C text in declarations = """..."""')
        for define in self.defines:
            if not _DEFINE.fullmatch(define):
                raise _error(f'defines: {define!r} is neither "NAME" nor "NAME=value"')
        for feature in self.features:
            if feature not in FEATURES:
                raise _error(f"features: there is no {feature!r}; there is: {', '.join(FEATURES)}")
        if self.stack < 1024 or self.stack % 16:
            raise _error(f"stack = {self.stack}: a number of bytes, a multiple of 16 and at least 1024")

    def fetched(self) -> Configuration:
        """The same, with all sources at hand."""
        return replace(self, folders={name: fetch_source(name, source) for name, source in self.fetch.items()})

    def path(self, text: str) -> Path:
        """A path of the configuration as an absolute one."""
        folder, rest = self._split(text)
        return folder / rest

    def _split(self, text: str) -> tuple[Path, str]:
        if text.startswith("{"):
            name, _, rest = text[1:].partition("}")
            if name not in self.folders:
                known = ", ".join(self.folders) or "none"
                raise _error(f"{text!r}: no table [tool.{TABLE}.fetch.{name}] (there is: {known})")
            return self.folders[name], rest.lstrip("/")
        return self.root, text

    def source_files(self) -> list[Path]:
        """The C files, in the order of the patterns."""
        found: dict[Path, None] = {}
        for pattern in self.sources:
            folder, rest = self._split(pattern)
            try:
                matched = sorted(path for path in folder.glob(rest) if path.is_file())
            except (NotImplementedError, ValueError):  # an absolute path, nothing at all
                raise _error(f"sources: {pattern!r} is no pattern of paths in a folder, as src/*.c is") from None
            if not matched:
                raise _error(f"sources: {pattern!r} fits no file in {folder}")
            found |= dict.fromkeys(matched)
        return list(found)

    def include_folders(self) -> tuple[Path, ...]:
        """The folders of headers."""
        for text in self.include:
            if not self.path(text).is_dir():
                raise _error(f"include: there is no folder {text!r} in {self.root}")
        return tuple(self.path(text) for text in self.include)

    def header_files(self) -> tuple[Path, ...]:
        """The named headers, each looked for in the project's folder and in those of ``include``."""
        found = []
        for text in self.headers:
            places = [self.path(text), *(folder / text for folder in self.include_folders())]
            path = next((place for place in places if place.is_file()), None)
            if path is None:
                raise _error(f"headers: there is no {text!r} in {self.root} nor in the folders of include")
            found.append(path)
        return tuple(found)


def read_configuration(folder: Path) -> Configuration:
    """The configuration of the project in ``folder``."""
    file = folder / "pyproject.toml"
    try:
        project = tomllib.loads(file.read_text("utf-8"))
    except OSError as error:
        raise BuildError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BuildError(f"{file}: {error}") from None
    table = project.get("tool", {}).get(TABLE)
    if not isinstance(table, dict):
        raise BuildError(f"{file} has no table [tool.{TABLE}]: it says what is to be compiled")
    return parse_configuration(folder, table, default_name=project.get("project", {}).get("name", ""))


def parse_configuration(root: Path, table: Mapping[str, Any], *, default_name: str = "") -> Configuration:
    """A configuration from its table; an unknown key or a value of another type is an error that names it."""
    known = {item.name: item for item in fields(Configuration) if item.name not in ("root", "folders")}
    for key in table:
        if key not in known:
            raise _error(f"unknown key {key!r}; possible are: {', '.join(known)}")
    values: dict[str, Any] = {
        key: _sources(value) if key == "fetch" else _value(key, value, str(known[key].type))
        for key, value in table.items()
    }
    values.setdefault("name", re.sub(r"[-.]+", "_", default_name))
    values.setdefault("sources", ())
    return Configuration(root=root.resolve(), **values)


def _value(key: str, value: Any, type_: str) -> Any:
    if type_.startswith("tuple"):
        if key == "defines" and isinstance(value, dict):
            return tuple(_define(name, item) for name, item in value.items())
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return tuple(value)
        raise _error(f"{key} must be a list of strings, not {value!r}")
    wanted = int if type_ == "int" else str
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise _error(f"{key} must be {'a number' if wanted is int else 'a string'}, not {value!r}")
    return value


def _define(name: str, value: Any) -> str:
    if value is True:
        return name
    if isinstance(value, int | str) and not isinstance(value, bool):
        return f"{name}={value}"
    raise _error(f"defines: {name} must be true, a number or a string, not {value!r}")


def _sources(tables: Any) -> dict[str, Source]:
    if not isinstance(tables, Mapping):
        raise _error(f"fetch must be a table for each source, not {tables!r}")
    for name in tables:
        if not _NAME.fullmatch(name):
            raise _error(f"fetch.{name}: a name has letters, digits and underscores")
    return {
        name: parse_source(item, lambda message, name=name: _error(f"fetch.{name}: {message}"))  # type: ignore[misc]
        for name, item in tables.items()
    }


def _error(message: str) -> BuildError:
    return BuildError(f"[tool.{TABLE}] {message}")
