"""A C library compiled to wasm: immutable, shared by any number of instances."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping

from wasqlite.bridge import adapter
from wasqlite.bridge.engine import Engine, engine
from wasqlite.bridge.errors import LinkError, LoadError
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.instance import Instance
from wasqlite.bridge.memory import Memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge.cdef.layout import Constants, Enums, Layout

Host = Callable[[Memory], Iterable[HostFunction]]
"""Makes the host functions of one instance, given its memory."""


class Library:
    """Compiled code with its imports and exports, and its C types."""

    layout: Layout
    constants: Constants
    """The constants that the library declares, its enumerators among them, as attributes."""
    enums: Enums
    """The enumerations: ``enums.color.RED``."""

    def __init__(
        self,
        wasm: bytes,
        *,
        name: str = "module",
        abi: tuple[str, int] | None = None,
        types: Mapping[str, Any] | str | None = None,
    ) -> None:
        """Compile ``wasm``, or take it from the cache of compiled modules.

        ``abi`` names an exported function without parameters and the number that it must return: a module
        built for another version of its host is refused when it is opened. ``types`` is its layout table, or the path
        of the file that holds it, which is read when C types are first used.
        """
        self._types = types
        self._engine: Engine = engine()
        self._name = name
        self._abi = abi
        self._module = self._engine.load(wasm)
        self.imports = self._engine.api.imports(self._module)
        self.exports = self._engine.api.exports(self._module)
        if abi is not None and self.exports.get(abi[0]) != ("", "i"):
            raise LoadError(f"{name} does not export {abi[0]}() -> i32: it was not built for this bridge")
        self._adapters: dict[tuple[adapter.Signature, ...], int] = {}

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, abi: tuple[str, int] | None = None) -> Library:
        """A library from a ``.wasm`` file, with its C types from the ``.types.json`` beside it, if there is one."""
        file = os.fspath(path)
        try:
            with open(file, "rb") as opened:  # noqa: PTH123 - pathlib would be a tenth of a warm start
                wasm = opened.read()
        except OSError as error:
            raise LoadError(f"cannot read the wasm module {file}: {error.strerror}") from error
        types = file.removesuffix(".wasm") + ".types.json"
        return cls(wasm, name=os.path.basename(file), abi=abi, types=types)  # noqa: PTH119

    @classmethod
    def from_wat(
        cls, text: str, *, abi: tuple[str, int] | None = None, types: Mapping[str, Any] | None = None
    ) -> Library:
        """A library from WebAssembly text."""
        return cls(engine().api.wat(text), name="text", abi=abi, types=types)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in ("layout", "constants", "enums"):
                raise AttributeError(f"a Library has no attribute {name!r}")
            from wasqlite.bridge.cdef.layout import load

            self.layout = load(self._name, self._types)
            self.constants, self.enums = self.layout.namespaces()
            return getattr(self, name)

    def sizeof(self, ctype: str) -> int:
        """The size of a C type in bytes."""
        return self.layout.sizeof(ctype)

    def offsetof(self, ctype: str, *path: str | int) -> int:
        """The offset of a field in bytes, or of a field or item of that one."""
        return self.layout.offsetof(ctype, *path)

    def open(self, hosts: Iterable[Host] = (), *, memory_limit: int | None = None) -> Instance:
        """A new instance: its own linear memory, its own C heap, its own lock.

        ``hosts`` make the functions that the module imports. What they do not provide of WASI comes from wasmtime's own
        implementation, which is given no file, no environment and no argument: clock and random work,
        everything else is refused. ``memory_limit`` is in bytes; beyond it the guest's allocations fail.
        """
        memory = Memory()
        provided: dict[tuple[str, str], HostFunction] = {}
        for host in hosts:
            for function in host(memory):
                provided[function.module, function.name] = function
        served = [self._provider(item, provided) for item in self.imports]
        signatures = tuple((f.params, f.result, f.bare) for f in served if f is not None)
        instance = Instance(
            self._engine,
            self._name,
            self.exports,
            self._module,
            self._adapter(signatures),
            self.imports,
            served,
            memory,
            memory_limit,
        )
        instance.library = self
        instance.adapter = self._adapter
        try:
            if "_initialize" in self.exports:
                instance.function("_initialize")()
            if self._abi is not None:
                export, wanted = self._abi
                found = instance.function(export)()
                if found != wanted:
                    raise LoadError(
                        f"{self._name} has ABI {found}, and this bridge needs {wanted}: "
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
                f"{self._name} imports {module}.{name} as {signature}, and the host provides "
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
