"""WASI's file functions, served by the host in Python: wasmtime's own hand each read to another thread.

For hosts that want more than a ``Policy`` grants, such as file functions of their own beside WASI's. ``wasi.errno`` has
the error numbers, and what turns the host's into them.
"""

from __future__ import annotations

from wasqlite.bridge.wasi.descriptors import Preopen
from wasqlite.bridge.wasi.failures import SystemFailure
from wasqlite.bridge.wasi.files import WasiFiles
from wasqlite.bridge.wasi.layout import PATH_MAX, SUBSCRIPTION
from wasqlite.bridge.wasi.poll import functions as poll_functions

__all__ = ["PATH_MAX", "SUBSCRIPTION", "Preopen", "SystemFailure", "WasiFiles", "poll_functions"]
