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

from wasqlite.bridge._wasmtime import FUNC, TABLE, Extern
from wasqlite.bridge.adapter import HELD, LANES
from wasqlite.bridge.trampoline import way_into

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.engine import Engine


@cache
def _next() -> int | None:
    """The address of PyIter_Next, where Python is CPython."""
    found = getattr(getattr(ctypes, "pythonapi", None), "PyIter_Next", None)
    return ctypes.cast(found, ctypes.c_void_p).value if found is not None else None


class Lanes:
    """The lanes of one instance: generators by the number that the guest gives its host function with ``lanes``."""

    __slots__ = ("_context", "_engine", "_kept", "_table", "held")

    def __init__(self, engine: Engine, context: int, adapter: ctypes.Array[ctypes.c_uint64], frame: memoryview) -> None:
        self._engine = engine
        self._context = context
        table = engine.api.export(context, adapter, "table", TABLE)
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
        engine, api, context = self._engine, self._engine.api, self._context
        through_ctypes = way_into(engine, context, generator.__next__, self._kept)
        direct = through_ctypes
        iterator = zip(generator, iter(()), strict=False)
        address = _next()
        if address is not None:
            direct = Extern(kind=FUNC)
            api.func_new_raw(context, engine.procedure, address, id(iterator), None, direct.address)
            self._kept.append(iterator)
        api.set_function(context, self._table, number, through_ctypes)
        api.set_function(context, self._table, number + LANES, direct)

    def close(self) -> None:
        """Break the reference cycles; the guest is gone."""
        self._kept.clear()
