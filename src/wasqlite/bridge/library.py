"""A C library compiled to wasm: immutable, shared by any number of instances."""

from __future__ import annotations

import os
import weakref
from _thread import stack_size
from collections.abc import Callable, Iterable, Mapping
from threading import RLock

from wasqlite.bridge import adapter
from wasqlite.bridge.engine import LEAST_STACK, Engine, engine
from wasqlite.bridge.errors import LinkError, LoadError
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.instance import Instance
from wasqlite.bridge.memory import Memory
from wasqlite.bridge.state import State

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge._wasmtime import Api
    from wasqlite.bridge.cdef.layout import Constants, Enums, Layout
    from wasqlite.bridge.policy import Policy
    from wasqlite.bridge.snapshot import Held, Snapshot

# Types are compared by identity, so each library must read its table only once.
_types_lock = RLock()

WASI = "wasi_snapshot_preview1"

# In a section of types all codes but those of functions, numbers, funcref and externref. (The same bytes may be
# a count there; then the careful way is taken for nothing.)
_CONTINUED = bytes(range(0x80, 0x100))
_NOT_PLAIN = bytes((*range(0x4E, 0x60), *range(0x61, 0x6F), *range(0x71, 0x7C)))

Host = Callable[[Memory], Iterable[HostFunction]]
"""Makes the host functions of one instance, given its memory."""


class _Compiled:
    """The code for one engine: the module, and adapters for its imports."""

    __slots__ = ("__weakref__", "_modules", "adapters", "engine", "module")

    def __init__(self, engine: Engine, wasm: bytes) -> None:
        self.engine = engine
        self._modules: list[int] = []
        self.module = self._load(wasm)
        self.adapters: dict[tuple[tuple[adapter.Signature, ...], bool, bool], int] = {}
        weakref.finalize(self, _delete, engine.api, self._modules, os.getpid()).atexit = False

    def _load(self, wasm: bytes) -> int:
        module = self.engine.load(wasm)
        self._modules.append(module)
        return module

    def adapter(self, signatures: tuple[adapter.Signature, ...], *, further: bool = False, late: bool = False) -> int:
        if not signatures:
            return 0
        found = self.adapters.get((signatures, further, late))
        if found is None:
            built = adapter.build(list(signatures), further=further, late=late)
            found = self.adapters[signatures, further, late] = self._load(built)
        return found


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
        interruptible: bool = True,
    ) -> None:
        """Compile ``wasm``, or take it from the cache of compiled modules.

        ``abi`` names an exported function without parameters and the number that it must return: a module
        built for another version of its host is refused when it is opened. ``types`` is its layout table, or the path
        of the file that holds it, which is read when C types are first used.

        What is not ``interruptible`` runs faster (SQLite takes a sixth less time), but then no instance can be held to
        a policy.
        """
        self._types = types
        self._name = name
        self._abi = abi
        self._abi_checked = False
        self._wasm = wasm if interruptible else None
        first = engine(interruptible)
        self._compiled = {first: _Compiled(first, wasm)}
        self._first = self._compiled[first]
        self.sections = _sections(wasm)
        """The sections of the wasm that declare types, imports, exports, memories, tables and globals, by number."""
        # Behind the number of types.
        declared = self.sections.get(1, b"").lstrip(_CONTINUED)[1:]
        plain = len(declared.translate(None, _NOT_PLAIN)) == len(declared)
        self.imports = first.api.imports(self._first.module, plain)
        self.exports = first.api.exports(self._first.module, plain)
        if abi is not None and self.exports.get(abi[0]) != ("", "i"):
            raise LoadError(f"{name} does not export {abi[0]}() -> i32: it was not built for this bridge")
        self.mutable: tuple[str, ...] | None = None
        """The names of its mutable globals, once a snapshot asked for them."""

    @property
    def name(self) -> str:
        """What messages call it: the file's name."""
        return self._name

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, abi: tuple[str, int] | None = None, interruptible: bool = True
    ) -> Library:
        """A library from a ``.wasm`` file, with its C types from the ``.types.json`` beside it, if there is one."""
        file = os.fspath(path)
        try:
            with open(file, "rb") as opened:  # noqa: PTH123 - pathlib would be a tenth of a warm start
                wasm = opened.read()
        except OSError as error:
            raise LoadError(f"cannot read the wasm module {file}: {error.strerror}") from error
        types = file.removesuffix(".wasm") + ".types.json"
        return cls(wasm, name=os.path.basename(file), abi=abi, types=types, interruptible=interruptible)  # noqa: PTH119

    @classmethod
    def from_wat(
        cls,
        text: str,
        *,
        abi: tuple[str, int] | None = None,
        types: Mapping[str, Any] | None = None,
        interruptible: bool = True,
    ) -> Library:
        """A library from WebAssembly text."""
        return cls(engine().api.wat(text), name="text", abi=abi, types=types, interruptible=interruptible)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in ("layout", "constants", "enums"):
                raise AttributeError(f"a Library has no attribute {name!r}")
            from wasqlite.bridge.cdef.layout import load

            with _types_lock:
                if "enums" not in self.__dict__:
                    self.layout = load(self._name, self._types)
                    self.constants, self.enums = self.layout.namespaces()
            return self.__dict__[name]

    def sizeof(self, ctype: str) -> int:
        """The size of a C type in bytes."""
        return self.layout.sizeof(ctype)

    def offsetof(self, ctype: str, *path: str | int) -> int:
        """The offset of a field in bytes, or of a field or item of that one."""
        return self.layout.offsetof(ctype, *path)

    def open(
        self,
        policy: Policy | None = None,
        *,
        hosts: Iterable[Host] = (),
        memory_limit: int | None = None,
        snapshot: Snapshot | None = None,
    ) -> Instance:
        """A new instance: its own linear memory, its own C heap, its own lock.

        ``policy`` says what it is allowed; the default one grants nothing. ``hosts`` make the other functions that the
        module imports. With ``snapshot`` it begins in that state, and is not initialised once more.

        With ``hosts`` and no policy, they are all that the guest gets, besides clock and random of wasmtime's own WASI,
        which is given no file, no environment and no argument. Such an instance cannot be interrupted.
        ``memory_limit`` is in bytes; beyond it the guest's allocations fail.
        """
        if memory_limit is not None and not (isinstance(memory_limit, int) and memory_limit >= 0):
            raise ValueError(f"memory_limit must be a whole number of bytes, or None: {memory_limit!r}")
        memory = Memory()
        provided: dict[tuple[str, str], HostFunction] = {}
        hosts = tuple(hosts)
        if policy is None and not hosts and self._wasm is not None:
            from wasqlite.bridge.policy import Policy

            policy = Policy() if memory_limit is None else Policy(memory=memory_limit)
            memory_limit = None
        if policy is not None and memory_limit is not None:
            raise ValueError("memory_limit is for instances without a policy; say Policy(memory=...)")
        state = State()
        close: Callable[[], None] | None = None
        held: list[Held] = []
        if policy is not None and any(module == WASI for module, _, _ in self.imports):
            from wasqlite.bridge.wasi.system import System  # what only some programs need

            system = System(self._name, memory, policy, state)
            close = system.close
            held.append(system)
            provided.update({(WASI, function.name): function for function in system.functions()})
        try:
            for host in hosts:
                check = getattr(host, "check", None)
                if check is not None:
                    check(self)
                for function in host(memory):
                    provided[function.module, function.name] = function
            served = [self._provider(item, provided) for item in self.imports]
            signatures = tuple(f.signature for f in served if f is not None)
            compiled = self._first if policy is None else self._for(policy)
            instance = Instance(
                compiled.engine,
                self._name,
                self.exports,
                compiled.module,
                compiled.adapter(signatures, late=policy is None),
                self.imports,
                served,
                memory,
                state,
                close,
                memory_limit,
                policy,
            )
        except BaseException:
            if close is not None:
                close()
            raise
        instance.library = self
        instance.adapter = compiled.adapter
        instance.held = held
        instance.opened = policy, hosts, memory_limit
        for attach in memory.attaching:
            attach(instance)
        try:
            if snapshot is not None:
                from wasqlite.bridge.snapshot import fill

                fill(instance, snapshot)
                return instance
            if "_initialize" in self.exports:
                if (self.exports["_initialize"] or "?")[0]:
                    raise LinkError(f"{self._name} exports an _initialize that is no function without parameters")
                instance.function("_initialize")()
            if self._abi is not None and not self._abi_checked:
                export, wanted = self._abi
                found = instance.function(export)()
                if found != wanted:
                    raise LoadError(
                        f"{self._name} has ABI {found}, and this bridge needs {wanted}: "
                        "the module and the Python code are of different versions; reinstall the package"
                    )
                self._abi_checked = True  # all instances are of the same code
        except BaseException:
            instance.close()
            raise
        return instance

    def _for(self, policy: Policy) -> _Compiled:
        """The code that can be held to a policy."""
        if self._wasm is None:
            raise LoadError(f"{self._name} was loaded as not interruptible, so no policy can be enforced on it")
        # Threads may have a smaller stack than a policy takes for granted; Python needs some of it too.
        threads = stack_size()
        stack = min(policy.stack, max(threads // 2, LEAST_STACK)) if threads else policy.stack
        wanted = engine(True, stack)
        found = self._compiled.get(wanted)
        if found is None:
            found = self._compiled[wanted] = _Compiled(wanted, self._wasm)
        return found

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


def _delete(api: Api, modules: list[int], process: int) -> None:
    # Instances have what they need of them. In a fork's child some other thread may hold the runtime's locks for ever.
    if os.getpid() == process:
        for module in modules:
            api.module_delete(module)


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
        if 1 <= number <= 7:
            found[number] = wasm[at : at + size]
        at += size
    return found
