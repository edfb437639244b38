"""The layout table: what the bridge must know of a module's C types, all of it computed by the compiler.

Its format is described in docs/bridge-builder.md.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

from wasqlite.bridge.builder.declarations import BUILT_IN, Declarations, Enumeration, Record, read_declarations
from wasqlite.bridge.builder.layouts import Layout, layout_of, read_layouts
from wasqlite.bridge.builder.macros import read_macros
from wasqlite.bridge.builder.probe import Constant, Probe
from wasqlite.bridge.builder.report import BuildError
from wasqlite.bridge.builder.toolchain import Toolchain
from wasqlite.bridge.builder.units import Units, show_messages

Table = dict[str, Any]

FORMAT = 1
TARGET = "wasm32-wasi"
INLINE = "declarations.h"
_WILD = frozenset("*?[")
_UNNAMED = re.compile(r"\b(?:struct|union|enum) \$\d+")


def is_pattern(name: str) -> bool:
    """Whether a name in the configuration is a pattern, so that it need not fit anything in particular."""
    return not _WILD.isdisjoint(name)


@dataclass(frozen=True)
class Headers:
    """The declarations of a module: header files, and C text of its own."""

    files: tuple[Path, ...]
    text: str
    # What #include "..." in the text starts from.
    folder: Path

    def unit(self) -> str:
        """A C file that includes them all."""
        return "".join(f'#include "{path}"\n' for path in (*self.files, *((INLINE,) if self.text else ())))


class Extraction:
    """What the compiler says of a module's headers."""

    def __init__(self, headers: Headers, units: Units, toolchain: Toolchain) -> None:
        self._headers = headers
        self._command = [*toolchain.front_end, *units.flags, *units.folders(), "-w", "-fno-lto", "-ferror-limit=0"]
        self._command += ["-iquote", str(headers.folder)]
        self._toolchain = toolchain
        # Declarations are wanted: functions' bodies would be most of the tree, and as deep as they like.
        dump = ["-fsyntax-only", "-Xclang", "-skip-function-bodies", "-Xclang"]
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            questions = [(*dump, "-ast-dump=json"), (*dump, "-fdump-record-layouts-complete"), ("-E", "-dD")]
            answers = [job.result() for job in [pool.submit(self._run, "", question) for question in questions]]
        for status, _, messages, _ in answers:
            if status != 0:
                # The others complain of the same.
                show_messages(messages)
                raise BuildError("the declarations cannot be compiled: see the messages above")
        tree, layouts, preprocessed = [output for _, output, _, _ in answers]
        self.declarations: Declarations = read_declarations(tree)
        self.layouts = read_layouts(layouts)
        self.macros, self._ours = read_macros(preprocessed)
        named = {*map(str, headers.files), INLINE, f"./{INLINE}"}
        self._named = named | {
            file for file in self._ours if os.path.realpath(file) in set(map(os.path.realpath, headers.files))
        }
        self.probe = Probe(self._compile)

    def _run(self, text: str, arguments: Sequence[str]) -> tuple[int, str, str, bytes]:
        with tempfile.TemporaryDirectory(prefix="wasqlite-") as temporary:
            scratch = Path(temporary)
            (scratch / INLINE).write_text(self._headers.text, "utf-8")
            (scratch / "unit.c").write_text(self._headers.unit() + text, "utf-8")
            done = self._toolchain.run([*self._command, *arguments, "unit.c"], scratch)
            made = scratch / "unit.o"
            return done.returncode, done.stdout, done.stderr, made.read_bytes() if made.is_file() else b""

    def _compile(self, text: str) -> tuple[bytes | None, str]:
        status, _, messages, made = self._run(text, ["-c", "-fno-caret-diagnostics", "-o", "unit.o"])
        return (made if status == 0 else None), messages

    def is_named(self, file: str) -> bool:
        """Whether a file is one of the named headers, or the inline text."""
        return file in self._named

    def is_ours(self, file: str) -> bool:
        """Whether a file is one of the project's, and not the C library's."""
        return file in self._named or file in self._ours

    # -- what the configuration asks for ---------------------------------------------------------------------

    def select(
        self, what: str, wanted: Sequence[str] | None, known: Mapping[str, frozenset[str]]
    ) -> tuple[list[str], list[str]]:
        """Names of ``known`` (with the files that declare each): those that must be in the module, and those that may.

        ``wanted`` None: whatever the named headers declare.
        """
        if wanted is None:
            return [], [name for name, files in known.items() if any(map(self.is_named, files))]
        exact = [name for name in wanted if not is_pattern(name)]
        for name in exact:
            if name not in known:
                if name in self.declarations.static:
                    raise BuildError(f"{what}: {name} is static; add a function that calls it")
                raise BuildError(f"{what}: no header declares {name}")
        ours = [name for name, files in known.items() if any(map(self.is_ours, files))]
        optional: list[str] = []
        for pattern in wanted:
            if is_pattern(pattern):
                fitting = [name for name in ours if fnmatchcase(name, pattern)]
                if not fitting:
                    raise BuildError(f"{what}: the pattern {pattern} fits nothing that the headers declare")
                optional += fitting
        return exact, [name for name in dict.fromkeys(optional) if name not in exact]

    def constants(self, wanted: Sequence[str]) -> dict[str, Constant]:
        """The values of the macros that were asked for."""
        exact, optional = self.select(
            "constants", wanted, {name: frozenset((file,)) for name, file in self.macros.items()}
        )
        values, refused = self.probe.constants([*exact, *optional])
        for name in exact:
            if name in refused:
                raise BuildError(f"constants: {name} has no constant value: {refused[name]}")
        return values

    # -- the table ---------------------------------------------------------------------------------------------

    def table(self, name: str, functions: Iterable[str], variables: Iterable[str], constants: Sequence[str]) -> Table:
        """The layout table of a module that has these functions and variables."""
        found = self.declarations
        used = {key: found.functions[key] for key in sorted(functions)}
        globals_ = {key: found.variables[key] for key in sorted(variables)}
        types = self._reachable([*(f.type for f in used.values()), *(v.type for v in globals_.values())])
        typedefs = {key: found.typedefs[key][0] for key in sorted(types) if key in found.typedefs}
        records = [found.records[key] for key in sorted(types, key=_natural) if key in found.records]
        enums = [found.enums[key] for key in sorted(types, key=_natural) if key in found.enums]
        numbers = _Renumbering([record.name for record in records] + [enum.name for enum in enums])
        table: Table = {
            "format": FORMAT,
            "name": name,
            "target": TARGET,
            "typedefs": typedefs,
            "records": {record.name: self._record(record) for record in records},
            "enums": self._enums(enums),
            "functions": {key: {"type": f.type, "params": f.params} for key, f in used.items()},
            "variables": {key: {"type": variable.type} for key, variable in globals_.items()},
            "constants": dict(sorted(self.constants(constants).items())) if constants else {},
        }
        self.probe.check(self._assertions(records))
        return cast(Table, numbers.apply(table))

    def _reachable(self, types: list[str]) -> set[str]:
        """The types that the project's headers define, and all that those and ``types`` are made of."""
        found = self.declarations
        places = {key: place for key, (_, place) in found.typedefs.items()}
        tags: list[Record | Enumeration] = [*found.records.values(), *found.enums.values()]
        places |= {tag.name: tag.place for tag in tags}
        pending = [key for key, place in places.items() if self.is_ours(place[0])]
        for type_ in types:
            pending += found.names_in(type_)
        reached: set[str] = set()
        while pending:
            key = pending.pop()
            if key in reached:
                continue
            reached.add(key)
            if key in found.typedefs:
                pending += found.names_in(found.typedefs[key][0])
            elif key in found.records:
                for field in found.records[key].fields or []:
                    pending += found.names_in(field.type)
        return reached

    def _record(self, record: Record) -> Table:
        if record.fields is None:
            return {"kind": record.kind, "size": None, "align": None, "fields": []}
        layout = layout_of(record, self.layouts)
        fields: list[Table] = []
        for field, position in zip(record.fields, layout.positions, strict=True):
            if position.bits is not None and field.name:
                bits = {"bit_offset": position.bit_offset, "bits": position.bits}
                fields.append({"name": field.name, "type": field.type, **bits})
            elif not field.is_bits:
                fields.append({"name": field.name, "offset": position.offset, "type": field.type})
        return {"kind": record.kind, "size": layout.size, "align": layout.align, "fields": fields}

    def _enums(self, enums: list[Enumeration]) -> Table:
        values, refused = self.probe.constants([name for enum in enums for name in enum.constants])
        if refused:
            raise BuildError(f"enumeration constants without a value: {refused}")
        types = self.probe.integer_types([enum.expression for enum in enums if enum.expression and enum.constants])
        return {
            enum.name: {
                "type": types.get(enum.expression or "") or _smallest_type([values[name] for name in enum.constants]),
                "values": {name: values[name] for name in enum.constants},
            }
            for enum in enums
        }

    def _assertions(self, records: list[Record]) -> list[str]:
        """What the compiler is to confirm of the layouts that were read: all that has a name."""
        texts = [
            f"__builtin_types_compatible_p({macro}, {BUILT_IN[name]})"
            for macro, name in (("__SIZE_TYPE__", "__size_t"), ("__PTRDIFF_TYPE__", "__ptrdiff_t"))
        ]
        for record in records:
            if record.fields is None or not isinstance(record.layout, str):
                continue
            layout: Layout = layout_of(record, self.layouts)
            texts += [f"sizeof({record.name}) == {layout.size}", f"_Alignof({record.name}) == {layout.align}"]
            texts += [
                f"__builtin_offsetof({record.name}, {field.name}) == {position.offset}"
                for field, position in zip(record.fields, layout.positions, strict=True)
                if field.name and position.bits is None
            ]
        return texts


def _smallest_type(values: list[Any]) -> str:
    """The type of an enumeration that nothing can name, by the rule of the compiler."""
    low, high = min(values, default=0), max(values, default=0)
    if low < 0:
        return "int" if low >= -(1 << 31) and high < 1 << 31 else "long long"
    return "unsigned int" if high < 1 << 32 else "unsigned long long"


def _natural(name: str) -> tuple[str, int]:
    """Sorts ``struct $2`` before ``struct $10``."""
    text, _, number = name.partition("$")
    return text, int(number) if number else 0


class _Renumbering:
    """Numbers the types without a name from 1 on, so that what other headers hold does not show."""

    def __init__(self, names: list[str]) -> None:
        unnamed = sorted((name for name in names if "$" in name), key=lambda name: _natural(name)[1])
        self._names = {name: f"{name.partition('$')[0]}${i + 1}" for i, name in enumerate(unnamed)}

    def apply(self, value: Any) -> Any:
        """The value with the new numbers in all of its types."""
        if isinstance(value, dict):
            return {self._text(key): item if key == "constants" else self.apply(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.apply(item) for item in value]
        return self._text(value) if isinstance(value, str) else value

    def _text(self, text: str) -> str:
        return _UNNAMED.sub(lambda match: self._names.get(match[0], match[0]), text)
