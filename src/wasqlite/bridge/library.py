"""A C library compiled to wasm: immutable, shared by any number of instances."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from wasqlite.bridge import adapter
from wasqlite.bridge.engine import Engine, engine
from wasqlite.bridge.errors import LinkError, LoadError
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.instance import Instance
from wasqlite.bridge.memory import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wasqlite.bridge.snapshot import Snapshot

Host = Callable[[Memory], Iterable[HostFunction]]
"""Makes the host functions of one instance, given its memory."""


class Library:
    """Compiled code with its imports and exports."""

    def __init__(self, wasm: bytes, *, name: str = "module", abi: tuple[str, int] | None = None) -> None:
        """Compile ``wasm``, or take it from the cache of compiled modules.

        ``abi`` names an exported function without parameters and the number that it must return: a module
        built for another version of its host is refused when it is opened.
        """
        self._engine: Engine = engine()
        self.name = name
        self._abi = abi
        self._module = self._engine.load(wasm)
        self.imports = self._engine.api.imports(self._module)
        self.exports = self._engine.api.exports(self._module)
        if abi is not None and self.exports.get(abi[0]) != ("", "i"):
            raise LoadError(f"{name} does not export {abi[0]}() -> i32: it was not built for this bridge")
        self.mutable: tuple[str, ...] | None = None
        """The names of its mutable globals, once a snapshot asked for them."""
        self.sections = _sections(wasm)
        """The sections of the wasm that declare imports, exports, memories, tables and globals, by number."""
        self._adapters: dict[tuple[adapter.Signature, ...], int] = {}

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, abi: tuple[str, int] | None = None) -> Library:
        """A library from a ``.wasm`` file."""
        file = os.fspath(path)
        try:
            with open(file, "rb") as opened:  # noqa: PTH123 - pathlib would be a tenth of a warm start
                wasm = opened.read()
        except OSError as error:
            raise LoadError(f"cannot read the wasm module {file}: {error.strerror}") from error
        return cls(wasm, name=os.path.basename(file), abi=abi)  # noqa: PTH119

    @classmethod
    def from_wat(cls, text: str, *, abi: tuple[str, int] | None = None) -> Library:
        """A library from WebAssembly text."""
        return cls(engine().api.wat(text), name="text", abi=abi)

    def open(
        self,
        hosts: Iterable[Host] = (),
        *,
        memory_limit: int | None = None,
        snapshot: Snapshot | None = None,
    ) -> Instance:
        """A new instance: its own linear memory, its own C heap, its own lock.

        ``hosts`` make the functions that the module imports. What they do not provide of WASI comes from wasmtime's own
        implementation, which is given no file, no environment and no argument: clock and random work,
        everything else is refused. ``memory_limit`` is in bytes; beyond it the guest's allocations fail. With
        ``snapshot`` it begins in that state, and is not initialised once more.
        """
        hosts = tuple(hosts)
        memory = Memory()
        provided: dict[tuple[str, str], HostFunction] = {}
        for host in hosts:
            for function in host(memory):
                provided[function.module, function.name] = function
        served = [self._provider(item, provided) for item in self.imports]
        signatures = tuple((f.params, f.result, f.bare) for f in served if f is not None)
        instance = Instance(
            self._engine,
            self.name,
            self.exports,
            self._module,
            self._adapter(signatures),
            self.imports,
            served,
            memory,
            memory_limit,
        )
        instance.library = self
        instance.opened = hosts, memory_limit
        try:
            if snapshot is not None:
                from wasqlite.bridge.snapshot import fill

                fill(instance, snapshot)
                return instance
            if "_initialize" in self.exports:
                instance.function("_initialize")()
            if self._abi is not None:
                export, wanted = self._abi
                found = instance.function(export)()
                if found != wanted:
                    raise LoadError(
                        f"{self.name} has ABI {found}, and this bridge needs {wanted}: "
                        "the module and the Python code are of different versions; reinstall the package"
                    )
        except BaseException:
            instance.close()
            raise
        return instance

    def _provider(
        self,
        item: tuple[str, str, tuple[str, str] | None],
        provided: dict[tuple[str, str], HostFunction],
    ) -> HostFunction | None:
        module, name, signature = item
        function = provided.get((module, name))
        if function is not None and signature != (function.params, function.result):
            raise LinkError(
                f"{self.name} imports {module}.{name} as {signature}, and the host provides "
                f"{(function.params, function.result)}"
            )
        return function

    def _adapter(self, signatures: tuple[adapter.Signature, ...]) -> int:
        if not signatures:
            return 0
        found = self._adapters.get(signatures)
        if found is None:
            found = self._adapters[signatures] = self._engine.load(adapter.build(list(signatures)))
        return found


def _sections(wasm: bytes) -> dict[int, bytes]:
    """The small sections of a module that the runtime has accepted: a few kilobytes, and some microseconds."""
    found = {}
    at = 8
    while at < len(wasm):
        number = wasm[at]
        size = shift = 0
        while True:
            at += 1
            size |= (wasm[at] & 0x7F) << shift
            shift += 7
            if wasm[at] < 0x80:
                break
        at += 1
        if 2 <= number <= 7:
            found[number] = wasm[at : at + size]
        at += size
    return found
