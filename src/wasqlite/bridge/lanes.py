"""Generators that a guest resumes by number: the shortest way from compiled wasm into Python code.

As for all host functions, what is resumed is a generator, so that no exception can reach the runtime
(``trampoline``). A lane is one of its own for a single purpose, so that it need not look up what it is called for.
There are two ways into it:

- ctypes calls ``generator.__next__``, and takes the GIL before and gives it up after that.
- While the guest holds the GIL, none of this is needed, and the runtime calls a function of Python's own C API:
  ``PyIter_Next(zip(generator, iter(())))``, for which a host function's first argument is just right. ``zip`` asks the
  generator for an item and then the iterator that has none, so that the result is always NULL, which to the runtime
  means that all is well. A third of the time of the first way.
"""

from __future__ import annotations

import ctypes
from collections.abc import Generator
from functools import cache

from wasqlite.bridge._wasmtime import FUNC, TABLE, Extern, HostCallback, Vec
from wasqlite.bridge.adapter import HELD, LANES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge._wasmtime import Api


@cache
def _next() -> int | None:
    """The address of PyIter_Next, where Python is CPython."""
    found = getattr(getattr(ctypes, "pythonapi", None), "PyIter_Next", None)
    return ctypes.cast(found, ctypes.c_void_p).value if found is not None else None


class Lanes:
    """The lanes of one instance: generators by the number that the guest gives its host function with ``lanes``."""

    __slots__ = ("_api", "_context", "_kept", "_table", "held")

    def __init__(self, api: Api, context: int, adapter: ctypes.Array[ctypes.c_uint64], frame: memoryview) -> None:
        self._api = api
        self._context = context
        table = api.export(context, adapter, "lanes", TABLE)
        assert table is not None
        self._table: Extern = table
        self._kept: list[object] = []
        """What the table's functions refer to by address."""
        self.held = frame[HELD : HELD + 4].cast("i")
        """One number: ``LANES`` while the guest runs and its thread has the GIL."""

    def release(self) -> None:
        """The guest is about to be called in a way that may give up the GIL."""
        self.held[0] = 0

    def put(self, number: int, generator: Generator[None, Any, None]) -> None:
        """The generator, which stands at a ``yield``, is resumed when the guest gives this number, for ever.

        It must have the nets of ``trampoline`` and yield nothing but None.
        """
        assert 0 <= number < LANES
        api, context = self._api, self._context
        nothing = api.functype_new(ctypes.byref(Vec()), ctypes.byref(Vec()))
        thunk = HostCallback(generator.__next__)
        through_ctypes = Extern(kind=FUNC)
        api.func_new(context, nothing, thunk, None, None, through_ctypes.address)
        direct = through_ctypes
        iterator = zip(generator, iter(()), strict=False)
        address = _next()
        if address is not None:
            direct = Extern(kind=FUNC)
            api.func_new_raw(context, nothing, address, id(iterator), None, direct.address)
        api.functype_delete(nothing)
        self._kept += [thunk, iterator]
        api.set_function(context, self._table, number, through_ctypes)
        api.set_function(context, self._table, number + LANES, direct)

    def close(self) -> None:
        """Break the reference cycles; the guest is gone."""
        self._kept.clear()
