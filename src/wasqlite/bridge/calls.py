"""Calls into the guest: one generated closure per function, on wasmtime's unchecked calls.

The closures are generated from text, like a named tuple's methods, because a call with exactly its own arguments costs
half of one that loops over ``*args``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from types import CodeType

from wasqlite.bridge._wasmtime import FUNC, Extern
from wasqlite.bridge.adapter import LANES
from wasqlite.bridge.errors import BridgeError
from wasqlite.bridge.headroom import LOOK, NAMES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.instance import Instance

_VIEWS = {"i": ("longs", 2), "I": ("longs", 2), "F": ("doubles", 2), "f": ("floats", 4)}
_RESULTS = {
    "": "None",
    "i": "longs[0] & 0xFFFFFFFF",  # the upper half of the slot is undefined
    "I": "longs[0]",
    "F": "doubles[0]",
    "f": "floats[0]",
}

# `with lock` and not acquire(): no signal handler can run between taking it and entering the block. Nor can one make a
# call between the stores and what they are for: the depth is counted up before, and down after failures are settled.
# What callbacks raised before a nested call, further out, is set aside: it is raised by the call that led to it.
_TEMPLATE = """
def make({names}):
    def call({arguments}):
        {look}
        if state.dead is not None:
            refuse()
        with lock:
            if state.dead is not None:
                refuse()
            depth = state.depth
            reentrant = state.reentrant
            pointer = aside = None
            try:
                if depth:
                    pointer = nest()
                    if parked:
                        aside = parked[:]
                        del parked[:]
                else:
                    {begin}
                state.depth = depth + 1
                {started}
                try:
                    {stores}
                    error = invoke()
                    if error is not None or traps[0] or parked:
                        failed(error, traps, pointer)
                except BaseException as exception:
                    try:
                        interrupted(exception, traps, pointer)
                    except BaseException as another:
                        interrupted(another, traps, pointer)
                        raise
                    raise
            finally:
                {ended}state.depth = depth
                state.reentrant = reentrant
                if aside:
                    parked[:0] = aside
            return {result}
    return call
"""


def limits(instance: Instance, prefix: str = "") -> tuple[str, str, dict[str, Any]]:
    """What the code of a call does besides if the instance can be interrupted: before the depth is set, in an outermost
    call; after it is set, in each; and the names in both. Nothing for other instances, so that they pay nothing."""
    return instance.interruption.source(prefix) if instance.interruption is not None else ("pass", "pass", {})


@cache
def _maker(
    params: str, result: str, begin: str, started: str, ended: str, known: tuple[str, ...]
) -> Callable[..., Callable[..., Any]]:
    """What makes such a function, from what goes by these names in it."""
    names = [f"a{i}" for i in range(len(params))]
    stores = []
    for i, letter in enumerate(params):
        view, step = _VIEWS[letter]
        stores.append(f"{view}[{i * step}] = {names[i]}")
    source = _TEMPLATE.format(
        names=", ".join(known),
        arguments=", ".join(names),
        stores="; ".join(stores) or "pass",
        result=_RESULTS[result],
        begin=begin,
        started=started,
        ended=ended,
        look=LOOK,
    )
    namespace: dict[str, Any] = {}
    exec(compile(source, f"<wasqlite call ({params}) -> {result or 'nothing'}>", "exec"), namespace)
    return namespace["make"]  # type: ignore[no-any-return]


_PREPARED = """
def call():
    {look}
    if state.dead is not None or state.depth:
        unprepared()
    {begin}
    state.depth = 1
    try:
        {started}
        error = invoke()
        if error is not None or traps[0] or parked:
            failed(error, traps, None)
    except BaseException as exception:
        try:
            interrupted(exception, traps, None)
        except BaseException as another:
            interrupted(another, traps, None)
            raise
        raise
    finally:
        state.depth = 0
        state.reentrant = False
"""


@cache
def _prepared_code(begin: str, started: str) -> CodeType:
    return compile(_PREPARED.format(begin=begin, started=started, look=LOOK), "<wasqlite prepared call>", "exec")


def prepare(instance: Instance, name: str, arguments: tuple[int, ...]) -> Callable[[], None]:
    """The closure that calls ``name``, a function without result, with fixed integers. It keeps the instance alive."""
    extern, (params, result) = _find(instance, name)
    if result or len(params) != len(arguments) or set(params) > {"i", "I"}:
        raise BridgeError(f"{name} cannot be prepared with {len(arguments)} integers: its type is ({params}, {result})")
    slots = (ctypes.c_int64 * (2 * max(len(arguments), 1)))()
    for index, argument in enumerate(arguments):
        slots[2 * index] = argument
    traps = (ctypes.c_void_p * 1)()

    def unprepared() -> None:
        if instance.state.dead is not None:
            instance.refuse()
        if instance.state.depth:
            raise BridgeError(f"{name}: a prepared call is an outermost call; from inside a callback use function()")

    namespace: dict[str, Any] = {
        "state": instance.state,
        "parked": instance.parked,
        "failed": instance.failed,
        "interrupted": instance.interrupted,
        "unprepared": unprepared,
        "traps": traps,
        "extern": extern,  # owns what its address points at
        "slots": slots,
        "invoke": instance._api.invocation(instance._context, extern.address, slots, len(arguments), traps),
    }
    begin, started, names = limits(instance)
    namespace |= names | NAMES
    exec(_prepared_code(begin, started), namespace)
    call: Callable[[], None] = namespace.pop("call")
    call.__name__ = call.__qualname__ = name
    return call


def _find(instance: Instance, name: str) -> tuple[Extern, tuple[str, str]]:
    """An exported function that can be called, and its signature."""
    if instance.state.dead is not None:
        instance.refuse()
    extern = instance.find(name, FUNC)
    signature = instance.exports.get(name)
    if extern is None or signature is None:
        raise BridgeError(f"{instance.name} exports no function {name}")
    params, result = signature
    if "?" in params + result or len(result) > 1:
        raise BridgeError(f"{name} has a type that cannot be called: {signature}")
    return extern, signature


def bind(instance: Instance, name: str, *, hold_gil: bool, lanes: bool = False) -> Callable[..., Any]:
    """The closure that calls ``name``. It keeps the instance alive."""
    hold_gil = (hold_gil or lanes) and instance.interruption is None
    extern, (params, result) = _find(instance, name)
    slots = max(len(params), len(result), 1)
    longs = (ctypes.c_int64 * (2 * slots))()  # wasmtime_val_raw_t is 16 bytes
    traps = (ctypes.c_void_p * 1)()
    known: dict[str, Any] = {
        "state": instance.state,
        "lock": instance.lock,
        "parked": instance.parked,
        "refuse": instance.refuse,
        "failed": instance.failed,
        "interrupted": instance.interrupted,
        "nest": instance.nest,
        # Who can be interrupted must release the GIL, or nobody could do it: see `hold_gil`.
        "invoke": instance._api.invocation(
            instance._context,
            extern.address,
            longs,
            slots,
            traps,
            hold_gil=hold_gil,
        ),
        "longs": longs,
        "traps": traps,
    }
    if "F" in params + result:
        known["doubles"] = (ctypes.c_double * (2 * slots)).from_buffer(longs)
    if "f" in params + result:
        known["floats"] = (ctypes.c_float * (4 * slots)).from_buffer(longs)
    begin, started, names = limits(instance)
    known |= names | NAMES
    ended = ""
    if lanes and hold_gil:
        # Lanes rely on it that the GIL is held where the frame says so. It says so no longer when `depth` is put back,
        # before which there is no other outermost call; and nested ones have `nest` take it back.
        known["held"], started, ended = instance.lanes.held, f"held[0] = {LANES}", "held[0] = 0; "
    call = _maker(params, result, begin, started, ended, tuple(known))(*known.values())
    call.__name__ = call.__qualname__ = name
    call.extern = extern  # type: ignore[attr-defined]  # owns what its address points at
    return call
