"""Ask the compiler for values: constant expressions are compiled to data, and read from the object."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence

from wasqlite.bridge.builder.report import BuildError
from wasqlite.bridge.builder.wasm_objects import read_data

Constant = int | float | str
# Compiles a C text that follows the declarations: (object, None) or (None, messages).
Compile = Callable[[str], tuple[bytes | None, str]]

_SIGNED = ("char", "signed char", "short", "int", "long", "long long")
_UNSIGNED = ("_Bool", "unsigned char", "unsigned short", "unsigned int", "unsigned long", "unsigned long long")
_INTEGERS = (*_SIGNED, *_UNSIGNED)
_FLOATS = ("float", "double", "long double")
_TEXTS = ("char *", "const char *")
_INTEGER, _FLOAT, _TEXT = 1, 2, 3
_BLAMED = re.compile(r"^<constant (\w+)>:\d+:\d+: (?:fatal )?error: (.*)$", re.MULTILINE)


class Probe:
    """Finds the values of names that stand for constant expressions."""

    def __init__(self, compile_: Compile) -> None:
        self._compile = compile_

    def constants(self, names: Iterable[str]) -> tuple[dict[str, Constant], dict[str, str]]:
        """The values of macros and enumeration constants; and why others have none."""
        wanted = list(dict.fromkeys(names))
        kinds, refused = self._data(wanted, _kind)
        values, others = self._data(list(kinds), lambda name: _value(name, kinds[name][0]))
        refused |= others
        found: dict[str, Constant] = {}
        for name, data in values.items():
            kind, signed = kinds[name][:2]
            try:
                found[name] = _decode(data, kind, bool(signed))
            except UnicodeDecodeError:
                refused[name] = "its text is not UTF-8"
        # In the order in which they were asked for.
        return {name: found[name] for name in wanted if name in found}, refused

    def integer_types(self, expressions: Sequence[str]) -> dict[str, str]:
        """The integer type that each of these (enumeration) types is compatible with."""
        cases = ", ".join(f"{type_}: {i + 1}" for i, type_ in enumerate(_INTEGERS))
        lines = [
            f"const unsigned char wsq_type_{i} = _Generic(({expression})0, {cases}, default: 0);"
            for i, expression in enumerate(expressions)
        ]
        data = read_data(self._compiled("\n".join(lines)))
        found = {expression: data[f"wsq_type_{i}"][0] for i, expression in enumerate(expressions)}
        others = [expression for expression, number in found.items() if number == 0]
        if others:
            raise BuildError(f"the type of {', '.join(others)} is none of: {', '.join(_INTEGERS)}")
        return {expression: _INTEGERS[number - 1] for expression, number in found.items()}

    def check(self, assertions: Iterable[str]) -> None:
        """Have the compiler confirm constant expressions."""
        self._compiled("\n".join(f'_Static_assert({text}, "wasqlite read the layout wrong");' for text in assertions))

    def _compiled(self, text: str) -> bytes:
        made, messages = self._compile(text)
        if made is None:
            raise BuildError(f"the compiler does not take a probe of the declarations:\n{messages.rstrip()}")
        return made

    def _data(self, names: list[str], define: Callable[[str], str]) -> tuple[dict[str, bytes], dict[str, str]]:
        """What ``define`` makes of each name, as data; and the compiler's first error for those where that fails."""
        refused: dict[str, str] = {}
        made, messages = self._compile(_text(names, define))
        if made is None:
            # An error may lead to others: each suspect is tried alone.
            suspects = {match[1] for match in _BLAMED.finditer(messages)} & set(names) or set(names)
            for name in [name for name in names if name in suspects]:
                alone, reason = self._compile(_text([name], define))
                if alone is None:
                    first = _BLAMED.search(reason)
                    refused[name] = first[2] if first else reason.strip()
            if not refused:
                raise BuildError(f"the compiler does not take a probe of the constants:\n{messages.rstrip()}")
            rest, others = self._data([name for name in names if name not in refused], define)
            return rest, refused | others
        data = read_data(made)
        return {name: data[f"wsq_{name}"] for name in names}, refused


def _text(names: list[str], define: Callable[[str], str]) -> str:
    # The compiler's messages then name the constant in place of a file.
    return "\n".join(f'#line 1 "<constant {name}>"\n{define(name)}' for name in names)


def _cases(types: Sequence[str], value: int) -> str:
    return "".join(f"{type_}: {value}, " for type_ in types)


def _kind(name: str) -> str:
    kind = f"_Generic(({name}), {_cases(_FLOATS, _FLOAT)}{_cases(_TEXTS, _TEXT)}default: {_INTEGER})"
    signed = f"_Generic(({name}), {_cases(_SIGNED, 1)}default: 0)"
    return f"const unsigned char wsq_{name}[] = {{ {kind}, {signed} }};"


def _value(name: str, kind: int) -> str:
    if kind == _TEXT:
        return f"const char wsq_{name}[] = {name};"
    if kind == _FLOAT:
        return f"const double wsq_{name} = (double)({name});"
    return f"const unsigned long long wsq_{name} = (unsigned long long)({name});"


def _decode(data: bytes, kind: int, signed: bool) -> Constant:
    if kind == _TEXT:
        return data[:-1].decode()
    if kind == _FLOAT:
        return float(struct.unpack("<d", data)[0])
    return int.from_bytes(data, "little", signed=signed)
