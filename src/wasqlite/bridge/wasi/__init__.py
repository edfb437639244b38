"""WASI's file functions, served by the host in Python: wasmtime's own hand each read to another thread."""

from __future__ import annotations

from wasqlite.bridge.wasi.descriptors import Preopen
from wasqlite.bridge.wasi.files import WasiFiles

__all__ = ["Preopen", "WasiFiles"]
