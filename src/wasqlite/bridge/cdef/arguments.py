"""Python arguments on their way to C: one converter for each parameter that needs more than a range check."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct

from wasqlite.bridge.cdef.abi import is_empty, scalar
from wasqlite.bridge.cdef.buffers import Borrowed, flat
from wasqlite.bridge.cdef.numbers import Boolean, Character, Number, Scalar
from wasqlite.bridge.cdef.pointer import Pointer
from wasqlite.bridge.cdef.pointertype import PointerType, array_of, pointer_to
from wasqlite.bridge.cdef.records import RecordType
from wasqlite.bridge.cdef.types import CType, FunctionType, Void, expected
from wasqlite.bridge.errors import ArgumentRangeError, ArgumentTypeError, BridgeError, PointerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.typed import Typed

Back = tuple[Borrowed, int]
Convert = Callable[["Any", list[Back]], "int | float"]
"""Gives the number that wasm gets, and adds to the list what is to be copied back after the call."""

_BUFFERS = (bytearray, memoryview)


def converter(typed: Typed, ctype: CType, label: str) -> Convert | None:
    """What converts a parameter of the type; None: packing the number checks it as well."""
    if isinstance(ctype, Number):
        if ctype.kind == ctype.code and not isinstance(ctype, (Boolean, Character)):
            return None
        return _labelled(lambda value, _: ctype.number(value), label)
    if isinstance(ctype, PointerType):
        return _pointer(typed, ctype, label)
    assert isinstance(ctype, RecordType) and not is_empty(ctype)
    return _labelled(_record(typed, ctype), label)


def _labelled(convert: Convert, label: str) -> Convert:
    def labelled(value: Any, backs: list[Back]) -> int | float:
        try:
            return convert(value, backs)
        except BridgeError as error:
            raise explain(error, label) from error.__cause__

    return labelled


def explain(error: BridgeError, label: str) -> BridgeError:
    """The same error, that says which argument it is about."""
    if isinstance(error, (ArgumentTypeError, ArgumentRangeError, PointerError)):
        return type(error)(f"{label}: {error}")
    return error


def _record(typed: Typed, ctype: RecordType) -> Convert:
    passed = scalar(ctype)
    size = ctype.extent()

    def convert(value: Any, backs: list[Back]) -> int | float:
        copy = typed.temporary(pointer_to(ctype), size)
        ctype.store(copy, copy._address, value)
        if passed is None:
            return copy._address
        number: int | float = layout.unpack_from(typed.instance.memory.view, copy._address)[0]
        return number

    layout = Struct("<" + (passed.kind if isinstance(passed, Number) else "I"))
    return convert


def _pointer(typed: Typed, ctype: PointerType, label: str) -> Convert:
    instance = typed.instance
    fitting = {ctype}

    def convert(value: Any, backs: list[Back]) -> int:
        if (
            isinstance(value, Pointer)
            and value._type in fitting
            and value._instance is instance
            and value._generation == instance.generation
            and value._owner.alive
            and value._low <= value._address <= value._high
        ):
            return value._address
        if value is None:
            return 0
        try:
            if isinstance(value, Pointer):
                address = ctype.address(instance, value)
                fitting.add(value._type)
                return address
            return other(typed, ctype, value, backs)
        except BridgeError as error:
            raise explain(error, label) from error.__cause__

    return convert


def other(typed: Typed, ctype: PointerType, value: Any, backs: list[Back]) -> int:
    """The address of a copy of what is not a Pointer; it lives as long as the call."""
    target = ctype.target
    if isinstance(value, Borrowed) and not isinstance(target, FunctionType):
        given = value.given()
        address = typed.scratch.place_zeros(len(value.view)) if given is None else typed.scratch.place(given)
        backs.append((value, address))
        return address
    bytewise = isinstance(target, Void) or (isinstance(target, Number) and target.size == 1)
    if isinstance(value, (str, bytes)) and bytewise:
        if not ctype.const:
            kind = type(value).__name__
            raise ArgumentTypeError(
                f"{ctype.spell()} may be written to, so it does not take {kind}; give it memory of the guest's, "
                'such as new("char[]", data), or a bytearray in inout() or out()'
            )
        if isinstance(value, str):
            value = value.encode()
            if b"\0" in value:
                raise ArgumentTypeError("embedded null character: C would take it for the end of the text")
        return typed.scratch.place_text(value)
    if isinstance(value, _BUFFERS) and bytewise:
        if not ctype.const:
            raise ArgumentTypeError(
                f"{ctype.spell()} may be written to: say whether with inout({type(value).__name__}) or out(...)"
            )
        return typed.scratch.place(flat(value))
    if isinstance(target, FunctionType):
        return ctype.address(typed.instance, value)
    if ctype.const and isinstance(value, (list, tuple)) and not isinstance(target, (RecordType, Void)):
        array = array_of(target, None)
        copy = typed.temporary(array.decayed, len(value) * target.extent())
        array.store(copy, copy._address, value)
        return copy._address
    if ctype.const and isinstance(value, Mapping) and isinstance(target, RecordType):
        copy = typed.temporary(pointer_to(target), target.extent())
        target.store(copy, copy._address, value)
        return copy._address
    raise expected(ctype, "a Pointer or None", value)


def variadic(typed: Typed, label: str) -> Callable[[tuple[Any, ...], list[Back]], int]:
    """What packs the arguments in place of ``...``, each aligned to its size: the address of all."""
    void = typed.layout.type("const void *")
    assert isinstance(void, PointerType)

    def pack(values: tuple[Any, ...], backs: list[Back]) -> int:
        data = bytearray()
        for position, value in enumerate(values, 1):
            code, number = promoted(value, backs, f"{label} ...{position}")
            layout = Struct("<" + code)
            data += bytes(-len(data) % layout.size)
            data += layout.pack(number)
        return typed.scratch.place(data)

    def promoted(value: Any, backs: list[Back], where: str) -> tuple[str, Any]:
        if isinstance(value, Scalar):
            ctype = value.ctype
            return ("d" if ctype.kind == "f" else ctype.code), ctype.number(value.value)
        if isinstance(value, float):
            return "d", value
        if isinstance(value, int):
            if not -(1 << 31) <= value < 1 << 31:
                raise ArgumentRangeError(
                    f'{where}: {value} is too large for int; say what C expects, as with cast("long long", {value})'
                )
            return "i", int(value)
        try:
            return "I", address(value, backs)
        except BridgeError as error:
            raise explain(error, where) from error.__cause__

    def address(value: Any, backs: list[Back]) -> int:
        if value is None or isinstance(value, Pointer):
            return void.address(typed.instance, value)
        if isinstance(value, (str, bytes, Borrowed)):
            return other(typed, void, value, backs)
        raise expected(void, "int, float, bytes, str, a Pointer, None or the result of cast()", value)

    return pack
