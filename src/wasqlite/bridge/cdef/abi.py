"""How C values travel between wasm32 functions: clang's "basic" C ABI.

https://github.com/WebAssembly/tool-conventions/blob/main/BasicCABI.md
"""

from __future__ import annotations

from wasqlite.bridge.cdef.arrays import ArrayType
from wasqlite.bridge.cdef.numbers import Number
from wasqlite.bridge.cdef.pointertype import PointerType
from wasqlite.bridge.cdef.records import RecordType
from wasqlite.bridge.cdef.types import CType, FunctionType, Void
from wasqlite.bridge.errors import DeclarationError

Scalar = Number | PointerType


def scalar(ctype: CType) -> Scalar | None:
    """What a value is passed as: itself, or the only scalar that a record consists of; None: by its address."""
    if isinstance(ctype, (Number, PointerType)):
        return ctype
    if not isinstance(ctype, RecordType) or ctype.size is None:
        raise DeclarationError(f"a {ctype.spell()} cannot be passed or returned")
    only = _only(ctype)
    return only if only is not None and only.size == ctype.size else None


def _only(record: RecordType) -> Scalar | None:
    found: Scalar | None = None
    for ctype in record.members():
        while isinstance(ctype, ArrayType) and ctype.length == 1:
            ctype = ctype.item
        if is_empty(ctype):
            continue
        if found is not None:
            return None
        if isinstance(ctype, RecordType):
            found = _only(ctype)
            if found is None or found.size != ctype.size:
                return None
        elif isinstance(ctype, (Number, PointerType)):
            found = ctype
        else:
            return None
    return found


def is_empty(ctype: CType) -> bool:
    """Whether values of the type have no content, and so are not passed at all."""
    if isinstance(ctype, ArrayType):
        return ctype.length == 0 or is_empty(ctype.item)
    return isinstance(ctype, RecordType) and ctype.size is not None and all(map(is_empty, ctype.members()))


def by_address(ctype: CType) -> bool:
    """Whether a result is written to where the hidden first parameter points."""
    return isinstance(ctype, RecordType) and not is_empty(ctype) and scalar(ctype) is None


def signature(function: FunctionType) -> tuple[str, str]:
    """The wasm type of a C function, in letters."""
    letters = ""
    result = ""
    if by_address(function.result):
        letters = "i"
    elif not isinstance(function.result, Void) and not is_empty(function.result):
        passed = scalar(function.result)
        result = passed.letter if passed is not None else ""
    for param in function.params:
        if not is_empty(param):
            passed = scalar(param)
            letters += passed.letter if passed is not None else "i"
    return letters + "i" * function.variadic, result
