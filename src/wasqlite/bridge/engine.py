"""wasmtime's engines, one for each set of settings, and the way from wasm bytes to compiled code."""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
from functools import cache

from wasqlite.bridge import cache as disk
from wasqlite.bridge._wasmtime import Api, Vec, api, host_machine

MAX_WASM_STACK = 1 << 20
"""Bytes of native stack that a guest may use before it traps; SQLite's deepest test (speedtest1) needs a fraction."""
LEAST_STACK = 64 << 10

_SPEED = 1


class Engine:
    """wasmtime's engine with our settings, and the WASI functions that it brings.

    ``interruptible`` code looks at a counter in every loop and function, so that it can be stopped from outside. It is
    meant for guests that are not trusted, and so does without some of WebAssembly's features too.
    """

    def __init__(self, api: Api, interruptible: bool, stack: int) -> None:
        self.api = api
        self.interruptible = interruptible
        # What changes the compiled code or its ABI: part of the cache's key. The limit of the stack does not.
        self._settings = "opt=speed move=0 epoch unshared" if interruptible else f"opt=speed stack={stack} move=0"
        config = api.config_new()
        # A fork after a parallel compile leaves the child without the worker threads: its next compile would hang.
        api.config_parallel_compilation(config, False)
        api.config_opt_level(config, _SPEED)
        api.config_memory_may_move(config, False)
        api.config_max_wasm_stack(config, stack)
        api.config_epoch_interruption(config, interruptible)
        if interruptible:
            for without in api.config_without:
                without(config, False)
        self.pointer: int = api.engine_new(config)
        self.procedure: int = api.functype_new(ctypes.byref(Vec()), ctypes.byref(Vec()))
        """The type of functions without parameters and result; a type object belongs to one engine."""
        self.wasi: int = api.linker_new(self.pointer)
        error = api.linker_define_wasi(self.wasi)
        if error:  # pragma: no cover - only a broken library gets here
            raise RuntimeError(api.take_error(error))

    def load(self, wasm: bytes) -> int:
        """A compiled module: from the cache, else compiled now and kept for the next process."""
        folder = disk.directory()
        key = self._key(wasm)
        for path in disk.find(folder, key) if folder is not None else ():
            module = self.api.deserialize_file(self.pointer, os.fsencode(path))
            if module:
                return module
        module = self.api.compile(self.pointer, wasm)
        if folder is not None:
            from wasqlite.bridge import selftest

            selftest.run(self)  # once per machine and version: whoever finds a cached module has passed it
            disk.store(folder, key, self.api.serialize(module))
        return module

    def _key(self, wasm: bytes) -> str:
        library = os.stat(self.api.path)  # noqa: PTH116
        target = f"{sys.platform}-{host_machine()}"
        parts = (self.api.version, str(library.st_size), str(library.st_mtime_ns), target, self._settings)
        return hashlib.sha256("\0".join((*parts, hashlib.sha256(wasm).hexdigest())).encode()).hexdigest()[:32]


@cache
def engine(interruptible: bool = False, stack: int = MAX_WASM_STACK) -> Engine:
    """The process's engine with these settings."""
    return Engine(api(), interruptible, stack)
