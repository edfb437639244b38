"""A foreign function bridge to C libraries that are compiled to WebAssembly.

It loads a module, runs it in a sandbox under wasmtime, and lets Python call it; it knows nothing of SQLite.
"""

from __future__ import annotations

from wasqlite.bridge.arena import Arena
from wasqlite.bridge.errors import (
    BridgeError,
    DeadlineExceeded,
    Exited,
    ForkedInstance,
    InstanceClosed,
    InstancePoisoned,
    Interrupted,
    LinkError,
    LoadError,
    MemoryAccessError,
    ReentryError,
    SnapshotError,
    Trap,
    UnusableInstance,
)
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.instance import Instance
from wasqlite.bridge.library import Library
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasqlite.bridge.policy import Directory, Policy, SteppingClock
    from wasqlite.bridge.snapshot import Snapshot

# What the driver does not use is loaded when it is asked for.
_LAZY = dict.fromkeys(("Directory", "Policy", "SteppingClock"), "wasqlite.bridge.policy")
_LAZY["Snapshot"] = "wasqlite.bridge.snapshot"


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
    "BridgeError",
    "DeadlineExceeded",
    "Directory",
    "Exited",
    "ForkedInstance",
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
    "Policy",
    "ReentryError",
    "Snapshot",
    "SnapshotError",
    "State",
    "SteppingClock",
    "Trap",
    "UnusableInstance",
]
