"""A foreign function bridge to C libraries that are compiled to WebAssembly.

It loads a module, runs it in a sandbox under wasmtime, and lets Python call it; it knows nothing of SQLite.
"""

from __future__ import annotations

from wasqlite.bridge.arena import Arena
from wasqlite.bridge.errors import (
    BridgeError,
    ForkedInstance,
    InstanceClosed,
    InstancePoisoned,
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

__all__ = [
    "Arena",
    "BridgeError",
    "ForkedInstance",
    "HostFunction",
    "Instance",
    "InstanceClosed",
    "InstancePoisoned",
    "Library",
    "LinkError",
    "LoadError",
    "Memory",
    "MemoryAccessError",
    "ReentryError",
    "SnapshotError",
    "Trap",
    "UnusableInstance",
]
