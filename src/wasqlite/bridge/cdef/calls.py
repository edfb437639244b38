"""Typed calls: one generated closure for each function, which converts, checks and calls.

As in ``bridge.calls`` the text is made for one signature. Numbers are packed by one ``Struct``, which
checks their ranges by the way; the runtime's function is called with prebuilt ctypes objects, as ``prepare`` does.
Together that makes a call with two integers as fast as the raw one, checks included.
"""

from __future__ import annotations

import ctypes
import keyword
from collections.abc import Callable, Sequence
from functools import cache, partial
from struct import Struct
from types import CodeType

from wasqlite.bridge._wasmtime import Extern
from wasqlite.bridge.calls import limits
from wasqlite.bridge.cdef import abi
from wasqlite.bridge.cdef.arguments import Back, converter, explain, variadic
from wasqlite.bridge.cdef.numbers import MISFITS, Boolean, Character, Number
from wasqlite.bridge.cdef.pointer import Pointer
from wasqlite.bridge.cdef.pointertype import PointerType, pointer_to
from wasqlite.bridge.cdef.records import RecordType
from wasqlite.bridge.cdef.types import CType, FunctionType, Void
from wasqlite.bridge.errors import LinkError, Trap
from wasqlite.bridge.headroom import LOOK, NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.typed import Typed
    from wasqlite.bridge.instance import Instance

_VIEWS: dict[str, Any] = {
    "b": ctypes.c_int8, "B": ctypes.c_uint8, "h": ctypes.c_int16, "H": ctypes.c_uint16, "i": ctypes.c_int32,
    "I": ctypes.c_uint32, "q": ctypes.c_int64, "Q": ctypes.c_uint64, "f": ctypes.c_float, "d": ctypes.c_double,
}  # fmt: skip

# As in ``bridge.calls``. The depth is counted up before packing, so that a signal handler cannot get between the packed
# arguments and the call.
_TEMPLATE = """
def call({parameters}):
    {look}
    if _state.dead is not None:
        _refuse()
    if _dropped:
        _drain()
    with _lock:
        if _state.dead is not None:
            _refuse()
        _aside = None
        {begin}
        try:
            {conversions}
            _depth = _state.depth
            _reentrant = _state.reentrant
            _pointer = None
            try:
                if _depth:
                    _pointer = _nest()
                    if _parked:
                        _aside = _parked[:]
                        del _parked[:]
                else:
                    {limit}
                _state.depth = _depth + 1
                {started}
                try:
                    try:
                        _pack(_raw, 0{arguments})
                    except _misfits:
                        _misfit(({values}))
                        raise
                    _error = _invoke()
                    if _error is not None or _traps[0] or _parked:
                        _failed(_error, _traps, _pointer)
                except BaseException as _exception:
                    try:
                        _interrupted(_exception, _traps, _pointer)
                    except BaseException as _another:
                        _interrupted(_another, _traps, _pointer)
                        raise
                    raise
            finally:
                _state.depth = _depth
                _state.reentrant = _reentrant
            {result}
        finally:
            if _aside:
                _parked[:0] = _aside
            {end}
"""
_BEGIN = "_backs = []; _top = _scratch.top; _large = len(_scratch.large) if _top else 0"
# The first of these is done whatever strikes, as no signal handler can run before it.
_END = """_scratch.top = _top
            if _scratch.large and len(_scratch.large) > _large:
                _scratch.release(_large)"""


@cache
def _code(
    parameters: tuple[str, ...], conversions: str, arguments: tuple[str, ...], result: str, limit: str, started: str
) -> CodeType:
    scratch = bool(conversions)
    source = _TEMPLATE.format(
        parameters=", ".join(parameters),
        begin=_BEGIN if scratch else "",
        conversions=conversions or "pass",
        arguments="".join(f", {argument}" for argument in arguments),
        values="".join(f"{argument}, " for argument in arguments),
        result=result,
        end=_END if scratch else "",
        limit=limit,
        started=started,
        look=LOOK,
    )
    return compile(source, "<wasqlite typed call>", "exec")


def _names(names: Sequence[str | None], count: int) -> list[str]:
    """The parameters' names as Python can have them."""
    found: list[str] = []
    for position in range(count):
        name = (names[position] if position < len(names) else None) or ""
        if name.startswith("_"):  # as the template's own names do
            name = name.lstrip("_") + "_"
        if not name.isidentifier() or name == "_":
            name = f"a{position}"
        while name in found or name in ("len", "BaseException") or keyword.iskeyword(name):  # the template uses these
            name += "_"
        found.append(name)
    return found


class _Plan:
    """The text of one closure in the making, and the objects that it refers to."""

    def __init__(self, typed: Typed, name: str, ctype: FunctionType, names: Sequence[str | None]) -> None:
        self.typed = typed
        self.namespace: dict[str, Any] = {}
        self.names = _names(names, len(ctype.params))
        self.conversions: list[str] = []
        self.arguments: list[str] = []
        self.codes: list[str] = []
        self.packed: list[tuple[CType, str]] = []
        self.result(ctype.result)
        for position, param in enumerate(ctype.params):
            self.param(param, self.names[position], f"{name}() argument {self.names[position]!r}")
        self.parameters = list(self.names)
        if ctype.variadic:
            self.parameters.append("*_rest")
            self.namespace["_variadic"] = variadic(typed, f"{name}() argument")
            self.add("_variadic(_rest, _backs)", "I")

    def add(self, expression: str, code: str) -> None:
        """An argument that is converted."""
        local = f"_x{len(self.conversions)}"
        self.conversions.append(f"{local} = {expression}")
        self.arguments.append(local)
        self.codes.append(code)

    def param(self, ctype: CType, name: str, label: str) -> None:
        """Pass one parameter."""
        if abi.is_empty(ctype):
            return
        passed = abi.scalar(ctype)
        convert = converter(self.typed, ctype, label)
        code = passed.code if passed is not None else "I"
        if convert is None:
            self.packed.append((ctype, label))
            self.arguments.append(name)
            self.codes.append(code)
        else:
            self.packed.append((ctype, label))
            self.namespace[f"_convert_{name}"] = convert
            self.add(f"_convert_{name}({name}, _backs)", code)

    def result(self, ctype: CType) -> None:
        """Give the result a Python value: ``value``, with the expression that reads it from wasm's in its middle."""
        self.kind = ""
        self.read = "_result[0]"
        self.value = "None"
        if isinstance(ctype, Void):
            return
        if isinstance(ctype, RecordType):
            self.record(ctype)
        elif isinstance(ctype, PointerType):
            self.kind = "I"
            self.namespace["_make"] = partial(ctype.factory, self.typed.instance, ctype)
            self.value = "_make({})"
        else:
            assert isinstance(ctype, Number), ctype
            self.kind = ctype.kind
            if isinstance(ctype, (Boolean, Character)):
                self.namespace["_from_wasm"] = ctype.cast
                self.value = "_from_wasm({})"
            else:
                self.value = "{}"

    def record(self, ctype: RecordType) -> None:
        """A record by value: it comes in memory of its own."""
        self.namespace["_allocate"] = partial(self.typed.allocate, pointer_to(ctype), ctype.extent())
        self.value = "_record"
        if abi.by_address(ctype):
            self.add("(_record := _allocate())._address", "I")
            return
        passed = None if abi.is_empty(ctype) else abi.scalar(ctype)
        self.conversions.append("_record = _allocate()")
        if passed is not None:
            self.kind = passed.kind if isinstance(passed, Number) else "I"
            self.read = f"_bytes(_raw)[:{ctype.extent()}]"
            self.value = "_filled(_record, {})"
            self.namespace |= {"_bytes": bytes, "_filled": _filled}

    def settle(self) -> str:
        """What is done when C has returned. Its result is read first: whatever makes a call may overwrite it."""
        if not self.conversions:
            return f"return {self.value.format(self.read)}"
        read = f"_value = {self.read}" if self.kind else "pass"
        return f"{read}\n            if _backs: _copy_back(_backs)\n            return {self.value.format('_value')}"


def _filled(record: Pointer, content: bytes) -> Pointer:
    record.write(content)
    return record


def bind(
    typed: Typed, name: str, ctype: FunctionType, extern: Extern, names: Sequence[str | None] = ()
) -> Callable[..., Any]:
    """The closure that calls a function of the guest. It keeps the instance alive."""
    instance = typed.instance
    api = instance._api
    wanted, found = abi.signature(ctype), api.function_signature(instance._context, extern)
    if wanted != found:
        raise LinkError(
            f"{name} is declared as {ctype.spell(name)}, which is ({', '.join(wanted)}) in wasm, but the module has it "
            f"as ({', '.join(found)})"
        )
    plan = _Plan(typed, name, ctype, names)
    slots = max(len(plan.arguments), 1)
    longs = (ctypes.c_int64 * (2 * slots))()  # wasmtime_val_raw_t is 16 bytes
    traps = (ctypes.c_void_p * 1)()
    # Each value in a slot of 16 bytes.
    layout = Struct("<" + "".join(f"{code}{16 - Struct('<' + code).size}x" for code in plan.codes))

    def misfit(values: tuple[Any, ...]) -> None:
        offset = len(values) - len(plan.packed) - ctype.variadic
        for value, (param, label) in zip(values[offset:], plan.packed, strict=False):
            if isinstance(param, Number) and param.kind == param.code:
                try:
                    param.layout.pack(value)
                except MISFITS:
                    raise explain(param.misfit(value), label) from None

    namespace = plan.namespace
    namespace |= {
        "_state": instance.state,
        "_lock": instance.lock,
        "_parked": instance.parked,
        "_refuse": instance.refuse,
        "_failed": partial(_failed, instance, name),
        "_interrupted": instance.interrupted,
        "_nest": instance.nest,
        "_dropped": typed.dropped,
        "_drain": typed.drain,
        "_scratch": typed.scratch,
        "_copy_back": partial(_copy_back, typed),
        "_pack": layout.pack_into,
        "_misfits": MISFITS,
        "_misfit": misfit,
        "_raw": longs,
        "_result": (_VIEWS[plan.kind] * 1).from_buffer(longs) if plan.kind else None,
        "_traps": traps,
        "_extern": extern,  # owns what its address points at
        "_invoke": api.invocation(instance._context, extern.address, longs, slots, traps),
    }
    limit, started, names_of_limits = limits(instance, "_")
    namespace |= names_of_limits | NAMES
    code = _code(
        tuple(plan.parameters), "; ".join(plan.conversions), tuple(plan.arguments), plan.settle(), limit, started
    )
    exec(code, namespace)
    call: Callable[..., Any] = namespace.pop("call")  # popped: a function among its own globals is a cycle
    call.__name__ = call.__qualname__ = name
    call._guest = typed, extern, ctype  # type: ignore[attr-defined]
    call.__doc__ = ctype.spell(name)
    return call


def _failed(
    instance: Instance, name: str, error: int | None, traps: ctypes.Array[ctypes.c_void_p], pointer: int | None
) -> None:
    try:
        instance.failed(error, traps, pointer)
    except Trap as trap:
        trap.args = (f"{name}() stopped: {trap}",)
        raise


def _copy_back(typed: Typed, backs: list[Back]) -> None:
    for borrowed, address in backs:
        borrowed.take(typed.instance.memory, address)
