"""The quick form of input and output: one set of parameters in, at most one row out, by code made for their types.

A look-up or a single write spends its time around SQLite. So for each combination of types a function is generated
that packs the parameters with one ``pack_into``, and one that takes the row apart with one ``unpack_from``: a third of
the time of the general forms (``parameters.pack``, ``batch.decode``), which every combination can also go through.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from struct import error as StructError

from wasqlite.capi.batch import BLOB, FLOAT, INTEGER, NULL, TEXT, CorruptBatch
from wasqlite.capi.parameters import RECORD_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Put = Callable[[memoryview, int, tuple[Any, ...]], bool]

    Take = Callable[[memoryview, int], tuple[Any, ...]]

RECORD_AT, RECORD_VALUES = 112, 21
INPUT_AT, INPUT_SIZE = 280, 4096
"""Offsets from the status block (``wsq_quick_area``)."""

ROWS = 2
"""What ``wsq_quick`` fetches at most."""

OUTCOME = Struct("<i4xq8xq8xiI44xI8xQ")
"""Of the status block: rc, changes, last_rowid, autocommit, rows, reprepared, kinds."""


_EXACT = (int, float, str, bytes)

MOST = 512
"""Combinations that are remembered. Nearly all programs have fewer; one that has more only loses speed."""

_PARAMETERS = {int: (INTEGER, "q"), float: (FLOAT, "d"), type(None): (NULL, "q"), str: (TEXT, "q"), bytes: (BLOB, "q")}


def refuse(view: memoryview, at: int, values: tuple[Any, ...]) -> bool:
    """Stands for values that cannot be packed this way."""
    return False


class Packers(dict[tuple[type, ...], "Put"]):
    """For the types of a set of parameters: writes it at an address, or returns False and has written nothing of use.

    Raises struct.error for an integer beyond 64 bits, and UnicodeEncodeError.
    """

    __slots__ = ()

    def __missing__(self, types: tuple[type, ...]) -> Put:
        if len(self) >= MOST:
            self.clear()
        known = len(types) * RECORD_SIZE <= INPUT_SIZE and all(kind in _PARAMETERS for kind in types)
        put = self[types] = _packer(types) if known else refuse
        return put


def _packer(types: tuple[type, ...]) -> Put:
    """``put(view, at, (7, "x"))`` for (int, str) runs: ``pack(view, at, 1, 0, v0, 3, n1, e0)``, and copies the text."""
    names = [f"v{i}" for i in range(len(types))]
    sized = [i for i, kind in enumerate(types) if kind in (str, bytes)]
    lines = ["def put(view, at, values):"]
    lines += [f"    if len(values) != {len(types)}:", "        return False"]
    if names:
        lines.append(f"    {', '.join(names)}, = values")
        # So that what was right for the last set of parameters can be tried for the next one.
        exact = (f"type(v{i}) is not {t.__name__}" if t in _EXACT else f"v{i} is not None" for i, t in enumerate(types))
        lines += [f"    if {' or '.join(exact)}:", "        return False"]
    end = str(RECORD_SIZE * len(types))
    for i in sized:
        if types[i] is str:
            lines.append(f"    v{i} = v{i}.encode()")
        lines += [f"    n{i} = len(v{i})", f"    o{i} = {end}", f"    e{i} = o{i} + n{i}"]
        end = f"e{i}"
    if sized:
        lines += [f"    if {end} > {INPUT_SIZE}:", "        return False"]
    fields = []
    for i, kind in enumerate(types):
        tag = _PARAMETERS[kind][0]
        fields += [str(tag), f"n{i}" if i in sized else "0", f"o{i}" if i in sized else "0" if tag == NULL else f"v{i}"]
    if fields:
        lines.append(f"    pack(view, at, {', '.join(fields)})")
    lines += [f"    view[at + o{i} : at + e{i}] = v{i}" for i in sized]
    lines.append("    return True")
    pack = Struct("<" + "".join("II" + _PARAMETERS[kind][1] for kind in types)).pack_into
    return _generated(lines, "put", pack=pack)  # type: ignore[no-any-return]


class Takers(dict[int, "Take"]):
    """For the kinds of a record (``batch_record``): reads the row at an address.

    Bounds-checked and total, as ``batch.decode``. Raises CorruptBatch, and UnicodeDecodeError for text that is not
    UTF-8.
    """

    __slots__ = ()

    def __missing__(self, kinds: int) -> Take:
        if len(self) >= MOST:
            self.clear()
        take = self[kinds] = _taker(kinds)
        return take


def _taker(kinds: int) -> Take:
    """For (INTEGER, TEXT): ``v0, p1, n1 = unpack(view, at)``, a slice and its check, ``return v0, str(t1, ...)``."""
    columns = [kinds >> shift & 7 for shift in range(0, max(kinds.bit_length(), 1), 3)]
    layout, targets, checks, values = "<", [], [], []
    for i, kind in enumerate(columns):
        if kind in (INTEGER, FLOAT):
            layout += "q" if kind == INTEGER else "d"
            targets.append(f"v{i}")
            values.append(f"v{i}")
        elif kind in (TEXT, BLOB):
            layout += "II"
            targets.append(f"p{i}, n{i}")
            checks += [f"    t{i} = view[p{i} : p{i} + n{i}]", f"    if len(t{i}) != n{i}:", "        corrupt()"]
            values.append(f"str(t{i}, 'utf-8')" if kind == TEXT else f"bytes(t{i})")
        elif kind == NULL:
            layout += "8x"
            values.append("None")
        else:
            raise CorruptBatch(f"a record's value has the storage class {kind}")
    lines = ["def take(view, at):"]
    if targets:
        lines += ["    try:", f"        {', '.join(targets)}, = unpack(view, at)"]
        lines += ["    except StructError:", "        corrupt()"]
    lines += [*checks, f"    return {', '.join(values)},"]
    return _generated(lines, "take", unpack=Struct(layout).unpack_from, StructError=StructError, corrupt=_corrupt)  # type: ignore[no-any-return]


def _corrupt() -> None:
    raise CorruptBatch("a record lies outside guest memory")


def _generated(lines: list[str], name: str, **known: Any) -> Any:
    exec(compile("\n".join(lines), f"<wasqlite {name}>", "exec"), known)
    return known.pop(name)


packers = Packers()
takers = Takers()
