"""Callbacks: Python functions as C function pointers of any signature."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from types import CodeType

from wasqlite.bridge.cdef import abi
from wasqlite.bridge.cdef.arguments import explain
from wasqlite.bridge.cdef.numbers import Number
from wasqlite.bridge.cdef.pointer import TOP, Lasting, Owner, Pointer
from wasqlite.bridge.cdef.pointertype import PointerType, pointer_to
from wasqlite.bridge.cdef.records import RecordType
from wasqlite.bridge.cdef.types import CType, FunctionType, Void
from wasqlite.bridge.errors import ArgumentTypeError, BridgeError, DeclarationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.table import Served, Slot
    from wasqlite.bridge.cdef.typed import Typed


class _Registered(Owner):
    __slots__ = ()
    gone = "the callback was closed"


class Callback(Lasting):
    """A pointer to a function that is Python's. It lives until it is closed, whether or not anybody holds this.

    A slot of the table is not memory, so it survives ``restore``.
    """

    __slots__ = ("_slot", "_typed")

    def __init__(self, typed: Typed, ctype: PointerType, slot: Slot) -> None:
        super().__init__(typed.instance, ctype, slot.index, 0, TOP, _Registered())
        self._typed = typed
        self._slot = slot

    def close(self) -> None:
        """Give the slot back. If C code calls it all the same, the call ends in ``CallbackClosed``."""
        if self._owner.alive:
            self._owner.alive = False
            self._typed.table.give_back(self._slot, self._type.target.spell())

    def __exit__(self, *_: object) -> None:
        self.close()


def register(typed: Typed, ctype: FunctionType, function: Callable[..., Any], error: Any) -> Callback:
    """Make ``function`` callable from C as a function of this type."""
    if ctype.variadic:
        raise DeclarationError(f"{ctype.spell()}: a Python function cannot take variadic arguments of C")
    if not callable(function):
        raise ArgumentTypeError(f"callback() takes a callable, not {type(function).__name__}")
    answer = None if error is None else _answer(typed, ctype, error)
    with typed.instance.lock:
        typed.living()
        slot = typed.table.take(*abi.signature(ctype))
        serve(typed, slot, (ctype, function, answer))
    return Callback(typed, pointer_to(ctype), slot)


def serve(typed: Typed, slot: Slot, served: Served) -> None:
    """Have a slot serve a Python function."""
    ctype, function, answer = served
    slot.use(_serving(typed, ctype, function), answer, served)


def _answer(typed: Typed, ctype: FunctionType, error: Any) -> float:
    """The number that stands for a failure."""
    result = ctype.result
    if isinstance(result, Number):
        number = result.number(error)
    elif isinstance(result, PointerType):
        number = result.address(typed.instance, error)
    else:
        raise DeclarationError(f"{ctype.spell()} returns no number or pointer, so it has no error value")
    return _signed(number) if result.letter == "I" else number


def _signed(number: int) -> int:
    """A 64-bit number, as the frame has it."""
    return number - (1 << 64) if number >> 63 > 0 else number


_TEMPLATE = """
def serve({parameters}):
    _value = _function({arguments})
    {after}
"""


@cache
def _code(parameters: str, arguments: str, after: str) -> CodeType:
    source = _TEMPLATE.format(parameters=parameters, arguments=arguments, after=after)
    return compile(source, "<wasqlite callback>", "exec")


def _serving(typed: Typed, ctype: FunctionType, function: Callable[..., Any]) -> Callable[..., Any]:
    """What the trampoline calls: it makes Python values of wasm's, and a number of the result."""
    namespace: dict[str, Any] = {"_function": function}
    parameters: list[str] = []
    arguments: list[str] = []
    if abi.by_address(ctype.result):
        parameters.append("_hidden")
    for position, param in enumerate(ctype.params):
        name = f"a{position}"
        if not abi.is_empty(param):
            parameters.append(name)
        arguments.append(_incoming(typed, param, name, namespace))
    after = _outgoing(typed, ctype.result, namespace)
    exec(_code(", ".join(parameters), ", ".join(arguments), after), namespace)
    serve: Callable[..., Any] = namespace.pop("serve")
    return serve


def _incoming(typed: Typed, ctype: CType, name: str, namespace: dict[str, Any]) -> str:
    """The expression for an argument: i32 comes unsigned, i64 signed."""
    if isinstance(ctype, Number):
        if type(ctype).cast is Number.cast:
            if ctype.kind == "i":
                return f"({name} if {name} < 0x80000000 else {name} - 0x100000000)"
            if ctype.kind in "Iqfd":
                return name
        namespace[f"_load_{name}"] = ctype.cast
        return f"_load_{name}({name})"
    instance = typed.instance
    namespace["_instance"] = instance
    if isinstance(ctype, PointerType):
        namespace[f"_class_{name}"], namespace[f"_type_{name}"] = ctype.factory, ctype
        return f"_class_{name}(_instance, _type_{name}, {name})"
    assert isinstance(ctype, RecordType)
    namespace[f"_load_{name}"] = _record(typed, ctype)
    return f"_load_{name}({'0' if abi.is_empty(ctype) else name})"


def _record(typed: Typed, ctype: RecordType) -> Callable[[Any], Pointer]:
    """Makes a copy of a record that came by value, which stays when the call is over."""
    size = ctype.extent()
    pointer = pointer_to(ctype)
    passed = None if abi.is_empty(ctype) else abi.scalar(ctype)

    def load(value: Any) -> Pointer:
        copy = typed.allocate(pointer, size)
        if passed is not None:
            number = passed.cast(value) if isinstance(passed, Number) else typed.void(value)
            passed.store(copy, copy._address, number)
        elif size:
            copy.write(typed.instance.memory.read(value, size))
        return copy

    return load


def _outgoing(typed: Typed, ctype: CType, namespace: dict[str, Any]) -> str:
    """The statement that returns the number for wasm."""
    if isinstance(ctype, Void):
        return "return 0"
    if isinstance(ctype, Number):
        namespace["_number"] = _explained(
            (lambda value: _signed(ctype.number(value))) if ctype.integer else ctype.number
        )
        if ctype.kind == "i" and type(ctype).number is Number.number:
            fits = "_value.__class__ is int and -0x80000000 <= _value <= 0x7FFFFFFF"
            return f"return _value if {fits} else _number(_value)"
        return "return _number(_value)"
    if isinstance(ctype, PointerType):
        namespace["_number"] = _explained(partial(ctype.address, typed.instance))
        return "return _number(_value)"
    assert isinstance(ctype, RecordType)
    if abi.is_empty(ctype):
        return "return 0"
    passed = abi.scalar(ctype)
    pointer = pointer_to(ctype)

    def store(value: Any, address: int = 0) -> Any:
        if passed is None:
            ctype.store(pointer.make(typed.instance, address, address, address + ctype.extent()), address, value)
            return 0
        copy = typed.allocate(pointer, ctype.extent())
        ctype.store(copy, copy._address, value)
        number = passed.load(copy, copy._address)
        if isinstance(passed, PointerType):
            return int(number)
        return number if passed.letter in "fF" else _signed(passed.number(number))

    namespace["_store"] = _explained(store)
    return "return _store(_value, _hidden)" if passed is None else "return _store(_value)"


def _explained(convert: Callable[..., Any]) -> Callable[..., Any]:
    def explained(*arguments: Any) -> Any:
        try:
            return convert(*arguments)
        except BridgeError as error:
            raise explain(error, "a callback's result") from error.__cause__

    return explained
