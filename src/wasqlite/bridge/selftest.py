"""A self-test that calls a small module through the C functions that the bridge uses.

It runs when a module is compiled for the first time on a machine, so once per version of wasmtime; a changed C
API then shows as one clear error, not as a crash inside a database.
"""

from __future__ import annotations

import ctypes

from wasqlite.bridge._wasmtime import FUNC, MEMORY, TABLE, TESTED
from wasqlite.bridge.errors import BridgeError, LoadError, Trap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasqlite.bridge.engine import Engine
    from wasqlite.bridge.instance import Instance

_WAT = """
(module
  (import "host" "mix" (func $mix (param i32 i64 f64) (result i64)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (table (export "table") 1 funcref)
  (global (export "__stack_pointer") (mut i32) (i32.const 4096))
  (func (export "mix") (param i32 i64 f64) (result i64)
    (call $mix (local.get 0) (local.get 1) (local.get 2)))
  (func (export "random") (result i32) (call $random (i32.const 0) (i32.const 8)))
  (func (export "trap") unreachable))
"""


def run(engine: Engine) -> None:
    """Raise ``LoadError`` if this wasmtime does not behave as the one that wasqlite was tested with."""
    from wasqlite.bridge.hostfunction import HostFunction
    from wasqlite.bridge.library import Library

    global _begun
    if _begun:
        return
    _begun = True  # before the end, since the module of the test is compiled as well
    passed = False
    try:
        library = Library.from_wat(_WAT)
        mix = HostFunction("host", "mix", "iIF", "I", lambda a, b, c: a + b + int(c))
        with library.open(hosts=[lambda _: [mix]]) as instance:
            _expect(instance.function("mix")(0xFFFF_FFFF, -(1 << 40), 2.0) == 0xFFFF_FFFF - (1 << 40) + 2, "host call")
            _expect(instance.function("random", hold_gil=True)() == 0, "WASI random_get")
            _expect(instance.memory.read(0, 8) != bytes(8), "linear memory")
            _expect(instance.stack_pointer() == 4096, "global")
            _table(instance)
            _memory(instance)
            try:
                instance.function("trap")()
            except Trap:
                _expect(instance.dead is not None, "poisoning")
            else:
                _expect(False, "trap")
        passed = True
    except BridgeError as error:
        raise LoadError(
            f"wasmtime {engine.api.version} failed wasqlite's self-test ({error}); wasqlite was tested with {TESTED}"
        ) from error
    finally:
        _begun = passed


def _table(instance: Instance) -> None:
    api, context = instance._api, instance._context
    table = api.export(context, instance._instance, "table", TABLE)
    mix = api.export(context, instance._instance, "mix", FUNC)
    assert table is not None and mix is not None
    _expect(api.put_function(context, table, mix) == 1, "growing a table")
    found = api.function_at(context, table, 1)
    _expect(found is not None and api.function_signature(context, found) == ("iIF", "I"), "a table's function")
    _expect(all(api.function_at(context, table, n) is None for n in (0, 2)), "a table's empty slots")


def _memory(instance: Instance) -> None:
    api, context = instance._api, instance._context
    memory = api.export(context, instance._instance, "memory", MEMORY)
    assert memory is not None
    before = ctypes.c_uint64()
    grown = not api.memory_grow(context, memory.address, 1, ctypes.byref(before))
    instance.memory.refresh()
    _expect(grown and before.value == 1 and instance.memory.size == 2 << 16, "growing a memory")


_begun = False


def _expect(holds: bool, what: str) -> None:
    if not holds:
        raise BridgeError(f"{what} does not work")
