"""A foreign function bridge to C libraries that are compiled to WebAssembly.

It loads a module, runs it in a sandbox under wasmtime, and lets Python call it; it knows nothing of SQLite.
"""

from __future__ import annotations

from wasqlite.bridge.arena import Arena
from wasqlite.bridge.errors import (
    ArgumentRangeError,
    ArgumentTypeError,
    BridgeError,
    CallbackClosed,
    DeadlineExceeded,
    DeclarationError,
    Exited,
    ForkedInstance,
    InstanceClosed,
    InstancePoisoned,
    Interrupted,
    LinkError,
    LoadError,
    MemoryAccessError,
    PointerError,
    ReentryError,
    SnapshotError,
    Trap,
    UndeclaredName,
    UnusableInstance,
)
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.instance import Instance
from wasqlite.bridge.library import Library
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasqlite.bridge.cdef.callback import Callback
    from wasqlite.bridge.cdef.handle import Handle
    from wasqlite.bridge.cdef.pointer import Pointer
    from wasqlite.bridge.contract import Contract, provides
    from wasqlite.bridge.policy import Directory, Policy, SteppingClock
    from wasqlite.bridge.snapshot import Snapshot

# What the driver does not use is loaded when it is asked for.
_LAZY = {
    "Callback": "wasqlite.bridge.cdef.callback",
    "Contract": "wasqlite.bridge.contract",
    "Directory": "wasqlite.bridge.policy",
    "Handle": "wasqlite.bridge.cdef.handle",
    "Pointer": "wasqlite.bridge.cdef.pointer",
    "Policy": "wasqlite.bridge.policy",
    "Snapshot": "wasqlite.bridge.snapshot",
    "SteppingClock": "wasqlite.bridge.policy",
    "provides": "wasqlite.bridge.contract",
}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        from importlib import import_module

        found = globals()[name] = getattr(import_module(_LAZY[name]), name)
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "Arena",
    "ArgumentRangeError",
    "ArgumentTypeError",
    "BridgeError",
    "Callback",
    "CallbackClosed",
    "Contract",
    "DeadlineExceeded",
    "DeclarationError",
    "Directory",
    "Exited",
    "ForkedInstance",
    "Handle",
    "HostFunction",
    "Instance",
    "InstanceClosed",
    "InstancePoisoned",
    "Interrupted",
    "Library",
    "LinkError",
    "LoadError",
    "Memory",
    "MemoryAccessError",
    "Pointer",
    "PointerError",
    "Policy",
    "ReentryError",
    "Snapshot",
    "SnapshotError",
    "State",
    "SteppingClock",
    "Trap",
    "UndeclaredName",
    "UnusableInstance",
    "provides",
]
