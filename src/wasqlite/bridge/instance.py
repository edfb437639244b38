"""One sandbox: a store with a guest, its memory, its lock, and the only way in."""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable
from functools import partial

from wasqlite.bridge import calls
from wasqlite.bridge._wasmtime import GLOBAL, MEMORY, Extern, Value
from wasqlite.bridge.adapter import first_slot
from wasqlite.bridge.arena import Arena
from wasqlite.bridge.errors import (
    BridgeError,
    ForkedInstance,
    InstanceClosed,
    InstancePoisoned,
    LinkError,
    ReentryError,
    Trap,
    UnusableInstance,
)
from wasqlite.bridge.hostfunction import HostFunction
from wasqlite.bridge.state import State
from wasqlite.bridge.trampoline import Late, Trampoline, way_into

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wasqlite.bridge._wasmtime import Api
    from wasqlite.bridge.cdef.buffers import Borrowed
    from wasqlite.bridge.cdef.callback import Callback
    from wasqlite.bridge.cdef.handle import Handle
    from wasqlite.bridge.cdef.lib import Lib
    from wasqlite.bridge.cdef.pointer import Pointer
    from wasqlite.bridge.cdef.typed import Stats, Typed
    from wasqlite.bridge.engine import Engine
    from wasqlite.bridge.interruption import Interruption
    from wasqlite.bridge.lanes import Lanes
    from wasqlite.bridge.library import Host, Library
    from wasqlite.bridge.memory import Memory
    from wasqlite.bridge.policy import Policy
    from wasqlite.bridge.snapshot import Held, Snapshot

_NEVER = 1 << 62
_MOST_TABLES = 8
_OF_THE_STORE = ("_context", "_read_stack_pointer")
"""Attributes that lead into the store, which a closed instance has no more."""


class Instance:
    """A guest that is ready to be called. Use ``Library.open`` to make one.

    Calls from several threads take turns (one lock); a function that is called while another thread is inside waits
    without the GIL. Exceptions that host functions raise come out of the call that led to them.
    """

    library: Library
    adapter: Callable[..., int]
    """Compiles, or finds, the adapter for host functions of these signatures."""
    lib: Lib
    """The functions, variables and constants that the library declares."""
    _typed: Typed | None = None
    generation = 0
    """How often a snapshot was restored: what points into the memory of before is no longer good."""

    def __init__(
        self,
        engine: Engine,
        name: str,
        exports: dict[str, tuple[str, str] | None],
        module: int,
        adapter: int,
        imports: list[tuple[str, str, tuple[str, str] | None]],
        served: list[HostFunction | None],
        memory: Memory,
        state: State,
        close: Callable[[], None] | None,
        memory_limit: int | None,
        policy: Policy | None,
    ) -> None:
        self._engine = engine
        api = self._api = engine.api
        self.name = name
        self.library: Library
        """Set by ``Library.open``, with the arguments that it was called with."""
        self.opened: tuple[Policy | None, tuple[Host, ...], int | None]
        self.exports = exports
        self.memory = memory
        self.lock = state.lock
        self.parked: list[BaseException] = []
        self.state = state
        self.held: list[Held] = []
        """What the guest may have of the host's, such as open files."""
        self.opened_with: Callable[[], Snapshot | None] = _nothing
        """The snapshot that it began with, if that is still there."""
        self.rolls_back = policy is not None and policy.rollback
        self.last_snapshot: Snapshot | None = None
        """The last one that was taken, restored or opened, if it is the policy to roll back to it."""
        store: int = api.store_new(engine.pointer, None, None)
        self._context: int = api.store_context(store)
        self._thunks: list[object] = []
        self._trampolines: list[Trampoline] = []
        self._bare: list[Trampoline] = []
        self._late: Late | None = None
        self._lanes: Lanes | None = None
        self._lanes_at: tuple[ctypes.Array[ctypes.c_uint64], memoryview] | None = None
        self._frame: Extern | None = None
        """The memory in which the arguments of host functions are handed over."""
        # The finaliser never enters the guest. It is held by a global table, so it must not lead to self, nor to the
        # host functions, which may lead to self: then nothing of this would ever be collected.
        unused: list[int] = []
        self._finalizer = weakref.finalize(self, _dispose, api, [store], memory, close, unused, os.getpid())
        self._finalizer.atexit = False  # a daemon thread may still be inside
        self.interruption: Interruption | None = None
        self._strict = policy is not None
        self._wasi_is_set = False
        if policy is not None:
            self._limit(engine, store, policy, unused)
        else:
            if engine.interruptible:
                api.context_set_epoch_deadline(self._context, _NEVER)
            if memory_limit is not None:
                api.store_limiter(store, memory_limit, -1, -1, -1, -1)
        externs = self._externs(engine, adapter, imports, served)
        self._instance = self._instantiate(module, externs)
        self._attach_memory()
        self._stack_pointer = api.export(self._context, self._instance, "__stack_pointer", GLOBAL)
        self._stack_value = Value()
        if self._stack_pointer is not None:
            # Each nested call asks; what is passed is the same every time.
            self._read_stack_pointer: Callable[[], None] = partial(
                api.global_get,
                ctypes.c_void_p(self._context),
                ctypes.c_void_p(self._stack_pointer.address),
                ctypes.byref(self._stack_value),
            )
        self._stack_base = self.stack_pointer()

    def _limit(self, engine: Engine, store: int, policy: Policy, unused: list[int]) -> None:
        """Hold the guest to what the policy allows of memory and time."""
        from wasqlite.bridge.interruption import Interruption  # what only some programs need

        memory = -1 if policy.memory is None else policy.memory
        # Instances and memories besides the guest's are the adapters'.
        engine.api.store_limiter(store, memory, policy.table, -1, _MOST_TABLES, -1)
        self.interruption = Interruption(
            engine, self.name, store, self._context, self.state, self.parked, unused, policy.deadline
        )

    def _instantiate(self, module: int, externs: list[Extern]) -> ctypes.Array[ctypes.c_uint64]:
        """The guest's instance. A start function is a call like any other, except that it has no memory yet."""
        interruption = self.interruption
        trap: BridgeError | None = None
        self.state.depth = 1
        try:
            if interruption is not None:
                interruption.begin()
            made = self._api.instantiate(self._context, module, externs, release_gil=interruption is not None)
        except BridgeError as error:
            trap = error
            if interruption is not None:
                interruption.stopped(self.parked)
        finally:
            self.state.depth = 0
        if self.parked:
            raise _first(self.parked) from trap
        if trap is not None:
            raise trap
        return made

    # -- linking -----------------------------------------------------------------------------------------------

    def _externs(
        self,
        engine: Engine,
        adapter: int,
        imports: list[tuple[str, str, tuple[str, str] | None]],
        served: list[HostFunction | None],
    ) -> list[Extern]:
        functions = [f for f in served if f is not None]
        adapted = iter(self._adapted(adapter, functions, late=not self._strict))
        externs = []
        for (module, name, _), function in zip(imports, served, strict=True):
            externs.append(next(adapted) if function is not None else self._wasi(engine, module, name))
        return externs

    def _wasi(self, engine: Engine, module: str, name: str) -> Extern:
        extern = Extern()
        if self._strict:
            raise LinkError(
                f"{self.name} imports {module}.{name}, which neither the policy nor a host function provides"
            )
        if not self._wasi_is_set:
            self._api.context_set_wasi(self._context, self._api.wasi_config_new())
            self._wasi_is_set = True
        first, second = module.encode(), name.encode()
        if not self._api.linker_get(
            engine.wasi, self._context, first, len(first), second, len(second), ctypes.byref(extern)
        ):
            raise LinkError(f"{self.name} imports {module}.{name}, which no host function provides")
        return extern

    def _adapted(self, adapter: int, functions: list[HostFunction], *, late: bool = False) -> list[Extern]:
        """The adapter's exports, one per host function, with the trampolines behind them, or what makes them late."""
        if not functions:
            return []
        api, context = self._api, self._context
        at_once = functions
        if late:
            slot = first_slot([function.signature for function in functions])
            self._late = Late(self._engine, context, functions, slot, self.parked, self.state)
            # A signal is no reason for the guest to fail: it does what it does as often as it must.
            make = HostFunction("host", "late", "", "", self._late.make, retry=True)
            at_once = [make, *(f for f in functions if f.bare and not f.lanes)]
        trampolines = [Trampoline(function, self.parked, self.state) for function in at_once]
        self._trampolines += trampolines
        externs = []
        for trampoline in trampolines:
            externs.append(way_into(self._engine, context, trampoline.callback, self._thunks))
            if trampoline.second is not None:
                self._bare.append(trampoline)
                externs.append(way_into(self._engine, context, trampoline.second, self._thunks))
        if self._frame is not None:
            externs.append(self._frame)
        instance = api.instantiate(context, adapter, externs)
        if self._frame is None:
            self._frame = self._export(instance, "frame", MEMORY)
        at = self._frame.address
        base, size = api.memory_data(context, at), api.memory_data_size(context, at)
        frame = memoryview((ctypes.c_ubyte * size).from_address(base)).cast("B")
        for trampoline in trampolines:
            trampoline.attach(frame)
        if self._late is not None and late:
            self._late.attach(instance, frame)
            if any(function.lanes for function in functions):
                self._lanes_at = instance, frame
        return api.numbered(context, instance, len(functions))

    def host_functions(self, functions: list[HostFunction]) -> list[Extern]:
        """Functions of the host, made for this instance after it was linked, such as those of callbacks."""
        signatures = tuple(function.signature for function in functions)
        with self.lock:
            return self._adapted(self.adapter(signatures, further=self._frame is not None), functions)

    def find(self, name: str, kind: int) -> Extern | None:
        """The guest's export of this name and kind, if there is one."""
        with self.lock:  # the runtime's tables are not for two threads at once
            return self._api.export(self._context, self._instance, name, kind)

    def _export(self, instance: ctypes.Array[ctypes.c_uint64], name: str, kind: int) -> Extern:
        extern = self._api.export(self._context, instance, name, kind)
        if extern is None:
            raise LinkError(f"{self.name} does not export {name}")
        return extern

    def _attach_memory(self) -> None:
        api, context = self._api, self._context
        memory = api.export(context, self._instance, "memory", MEMORY)
        if memory is None:
            return
        self._memory = memory  # owns what its address points at
        measure = partial(api.memory_data_size, ctypes.c_void_p(context), ctypes.c_void_p(memory.address))
        self.memory.attach(api.memory_data(context, memory.address), measure, self.lock)

    # -- calls -------------------------------------------------------------------------------------------------

    def function(self, name: str, *, hold_gil: bool = False, lanes: bool = False) -> Callable[..., int]:
        """A closure that calls an exported function with numbers and returns its number (None if it has no result).

        i32 comes back unsigned, i64 signed. ``hold_gil`` is for functions that are always short: 0.1 us cheaper,
        and much cheaper in their callbacks while other threads are busy; nothing else runs meanwhile. With ``lanes``
        these are resumed directly, too, for functions that spend their time in them.
        """
        return calls.bind(self, name, hold_gil=hold_gil, lanes=lanes)

    def prepare(self, name: str, *arguments: int) -> Callable[[], None]:
        """A closure that calls an exported function without result, always with these integers.

        For what is called very often: 0.5 us where ``function`` takes 1.0 (CPython 3.11). The caller holds ``lock``
        and makes no such call from inside a callback.
        """
        return calls.prepare(self, name, arguments)

    @property
    def lanes(self) -> Lanes:
        """The generators that a host function with ``lanes`` resumes."""
        if self._lanes is None:
            from wasqlite.bridge.lanes import Lanes  # what only some programs need

            if self._lanes_at is None:
                raise BridgeError(f"{self.name} has no host function for lanes")
            self._lanes = Lanes(self._engine, self._context, *self._lanes_at)
        return self._lanes

    def arena(self) -> Arena:
        """Scratch memory of the guest's heap, freed when the ``with`` block ends."""
        return Arena(self)

    def stack_pointer(self) -> int | None:
        """The guest's shadow stack pointer, None if the module does not export it."""
        if self._stack_pointer is None:
            return None
        self._read_stack_pointer()
        return self._stack_value.bits & 0xFFFF_FFFF

    def global_value(self, name: str) -> int | None:
        """The value of an exported i32 global, such as a C variable's address; None if there is none."""
        with self.lock:
            extern = self.find(name, GLOBAL)
            if extern is None:
                return None
            value = Value()
            self._api.global_get(self._context, extern.address, ctypes.byref(value))
            return value.bits & 0xFFFF_FFFF

    def nest(self) -> int | None:
        """Allow a call from inside a callback, or refuse it: the shadow stack's present position."""
        opened = self.state.reentrant
        if not opened:
            raise ReentryError(
                f"{self.name} is in the middle of a call, and was called again from a signal handler or from a host "
                "function that is not declared reentrant; call it after the first call has returned"
            )
        if self._lanes is not None:
            self._lanes.release()  # the call may be one that gives up the GIL
        self.state.reentrant = False
        if opened is not True:
            # All others that are under way were prepared when they made their calls.
            opened.prepare()
        else:
            for trampoline in self._bare:
                trampoline.prepare()
        return self.stack_pointer()

    def refuse(self) -> None:
        """Raise the reason why there can be no more calls; unless the policy is to roll back, and it can be done."""
        with self.lock:  # another thread may be restoring it just now
            self._roll_back(0)
            dead = self.state.dead
        if dead is not None:
            raise type(dead)(*dead.args) from dead.__cause__

    def failed(self, error: int | None, traps: ctypes.Array[ctypes.c_void_p], stack_pointer: int | None) -> None:
        """Settle a call that did not simply return: raise what callbacks raised, or the trap.

        Whatever strikes in here, ``interrupted`` does the rest.
        """
        stopped = self.interruption is not None and self.interruption.stopped(self.parked)
        trap = self._take_trap(error, traps, stack_pointer)
        if stopped and self.interruption is not None:
            self.interruption.arm()  # an outer call may be under way
        raised = _first(self.parked) if self.parked else trap
        if trap is not None:
            self._roll_back(1)
        del self.parked[:]
        if raised is not None:
            raise raised

    def interrupted(
        self, exception: BaseException, traps: ctypes.Array[ctypes.c_void_p], stack_pointer: int | None
    ) -> None:
        """Settle what is left of a call when an exception goes on to the caller: that of ``failed``, which leaves
        nothing, or a signal handler's, which coincided with the call's return or with ``failed``."""
        stopped = self.interruption is not None and self.interruption.stopped(self.parked)
        self._take_trap(None, traps, stack_pointer)
        if stopped and self.interruption is not None:
            # The error that it was stopped with may be lost.
            self._poison(exception)
            self._reset_stack(stack_pointer)
            self.interruption.arm()
        for other in self.parked:
            if other is not exception:
                exception.add_note(f"before that, in a callback: {type(other).__name__}: {other}")
        del self.parked[:]

    def _take_trap(
        self, error: int | None, traps: ctypes.Array[ctypes.c_void_p], stack_pointer: int | None
    ) -> Trap | None:
        pointer = traps[0]
        if not pointer and not error:
            return None
        message = self._api.trap_text(pointer) if pointer else self._api.take_error(error or 0)
        trap = Trap(f"{self.name}: {_reason(message)}")
        trap.add_note(message)
        self._poison(self.parked[0] if self.parked else trap)
        self._reset_stack(stack_pointer)
        if pointer:
            traps[0] = None  # not before: what strikes until here must find it once more
            self._api.trap_delete(pointer)
        return trap

    def _reset_stack(self, stack_pointer: int | None) -> None:
        """Give the shadow stack back that C code had when it was unwound. ``stack_pointer``: of a nested call."""
        base = stack_pointer if stack_pointer is not None else self._stack_base
        if self._stack_pointer is not None and base is not None:
            value = Value(kind=0, bits=base)
            self._api.global_set(self._context, self._stack_pointer.address, ctypes.byref(value))

    def _poison(self, cause: BaseException) -> None:
        if self.state.dead is None:
            self.state.dead = InstancePoisoned(
                f"{self.name} stopped in the middle of an earlier call ({_first_line(cause)}), "
                "so its memory can no longer be trusted; open a new instance"
            )
            self.state.dead.__cause__ = cause

    def interrupt(self) -> None:
        """Stop the call that is under way in another thread, or that a signal handler interrupted: it raises
        ``Interrupted``, and the instance is poisoned. Without one under way nothing happens.

        The guest stops at its next loop or function call. A host function that is running is not stopped, but what it
        returns to is. For instances that were opened with a policy.
        """
        if self.interruption is None:
            raise BridgeError(f"{self.name} was opened without a policy, so it cannot be interrupted")
        self.interruption.interrupt()

    # -- snapshots ---------------------------------------------------------------------------------------------

    def snapshot(self) -> Snapshot:
        """The present state of the guest, to be restored here or opened in other instances.

        SnapshotError: something that belongs to the state is out of reach, such as open files.
        """
        from wasqlite.bridge.snapshot import take

        return take(self)

    def restore(self, snapshot: Snapshot) -> None:
        """Make this instance what it was when the snapshot was taken, also after a trap.

        Every address from between is invalid then. Memory that the guest was given since stays with it, and is zero.
        """
        from wasqlite.bridge.snapshot import put_back

        put_back(self, snapshot)

    def _roll_back(self, ending: int) -> None:
        """After a trap: back to the last snapshot, if that is the policy. ``ending``: how many calls are, just now."""
        if self.rolls_back and self.last_snapshot is not None and isinstance(self.state.dead, InstancePoisoned):
            from wasqlite.bridge.snapshot import roll_back

            roll_back(self, self.last_snapshot, ending)

    def clone(self) -> Instance:
        """Another instance in the same state, opened as this one was."""
        policy, hosts, memory_limit = self.opened
        return self.library.open(policy, hosts=hosts, memory_limit=memory_limit, snapshot=self.snapshot())

    # -- C types: what knows them is loaded when it is first used ------------------------------------------------

    @property
    def typed(self) -> Typed:
        """What knows the library's C types."""
        found = self._typed
        if found is None:
            from wasqlite.bridge.cdef.typed import Typed

            # Of several threads' ones, one is everybody's.
            found = self.__dict__.setdefault("_typed", Typed(self, self.library.layout))
        return found

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name in _OF_THE_STORE and self.closed:
                self.refuse()
            if name != "lib":
                raise AttributeError(f"an Instance has no attribute {name!r}")
            self.lib = self.typed.lib
            return self.lib

    def new(self, ctype: str, value: Any = None) -> Pointer:
        """Allocate and initialise a C object: ``new("struct point *", {"x": 1})``, ``new("int[10]")``.

        The Pointer owns it: freed by ``free()``, at the end of a ``with`` block, or when nobody has it any more.
        """
        return self.typed.new(ctype, value)

    def cast(self, ctype: str, value: Any) -> Any:
        """Convert as a cast does in C: pointers and addresses to pointers, numbers to numbers of that type."""
        return self.typed.cast(ctype, value)

    def addressof(self, name: str) -> Pointer:
        """A Pointer to a variable or a function of the library."""
        return self.typed.addressof(name)

    def string(self, pointer: Pointer, max: int | None = None) -> bytes:
        """The bytes before the first NUL at ``pointer``."""
        return self.typed.pointer(pointer, "string()").string(max)

    def buffer(self, pointer: Pointer, size: int | None = None) -> memoryview:
        """A writable view of guest memory, for immediate use: keep none across a call, and none after ``close()``."""
        return self.typed.buffer(pointer, size)

    def inout(self, buffer: bytearray | memoryview) -> Borrowed:
        """An argument: C gets a copy of the buffer, and what it made of it is copied back."""
        return self.typed.borrow(buffer, copied_in=True)

    def out(self, buffer: bytearray | memoryview) -> Borrowed:
        """An argument: C gets as many zeros, and what it wrote is copied to the buffer."""
        return self.typed.borrow(buffer, copied_in=False)

    def callback(self, ctype: str, function: Callable[..., Any], error: Any = None) -> Callback:
        """A C function pointer to a Python function: ``callback("int (void *, int)", f, error=-1)``.

        When ``function`` raises, C sees an ordinary return of ``error``, and the exception is raised by the call that
        is under way. Without ``error`` the C frames are unwound, which leaves the instance unusable.
        """
        return self.typed.callback(ctype, function, error)

    def handle(self, value: Any) -> Handle:
        """A ``void *`` that stands for a Python object, until it is closed."""
        return self.typed.handle(value)

    def from_handle(self, pointer: Pointer) -> Any:
        """The object of a handle."""
        return self.typed.handles.find(self.typed.pointer(pointer, "from_handle()"))

    def stats(self) -> Stats:
        """What is alive in the guest: allocations of ``new``, callbacks, handles; and the size of its memory."""
        return self.typed.stats()

    # -- end of life -------------------------------------------------------------------------------------------

    @property
    def dead(self) -> UnusableInstance | None:
        """Why the instance takes no more calls, or None."""
        return self.state.dead

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called."""
        return isinstance(self.state.dead, InstanceClosed)

    def close(self) -> None:
        """Throw the guest away, with all its memory. It is not told: what must be finished is the caller's business."""
        if isinstance(self.state.dead, ForkedInstance):
            return
        with self.lock:
            if self.state.depth:
                raise BridgeError("an instance cannot be closed from inside one of its own callbacks")
            self.state.dead = InstanceClosed(f"this instance of {self.name} was closed")
            for name in _OF_THE_STORE:
                self.__dict__.pop(name, None)  # whoever asks for it is told by __getattr__
            # Not by calling the finalizer: that would be the only time, also if a signal handler raised in the middle.
            found = self._finalizer.peek()
            if found is not None:
                _, dispose, arguments, _ = found
                dispose(*arguments)
                self._finalizer.detach()
            for trampoline in self._trampolines:
                trampoline.close()
            if self._late is not None:
                self._late.close()
            if self._lanes is not None:
                self._lanes.close()

    def __enter__(self) -> Instance:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _nothing() -> None:
    return None


def _first(parked: list[BaseException]) -> BaseException:
    """The first of what was raised in callbacks, with a note on each other."""
    first, *others = parked
    for other in others:
        first.add_note(f"then, before the guest returned: {type(other).__name__}: {other}")
    return first


def _reason(message: str) -> str:
    """The cause in a trap's message, which begins with the guest's backtrace."""
    return message.rpartition("Caused by:")[2].strip().removeprefix("wasm trap: ")


def _first_line(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _dispose(
    api: Api, stores: list[int], memory: Memory, close: Callable[[], None] | None, unused: list[int], process: int
) -> None:
    # If this ends in the middle, it can be done again. In a fork's child the store is left alone: it is the parent's as
    # much as ours. And while somebody still holds a view of the memory, unmapping it would turn the next look into a
    # crash, so rather leak it.
    try:
        if memory.detach() and os.getpid() == process:
            while stores:
                api.store_delete(stores.pop())
            while unused:
                api.error_delete(unused.pop())
    finally:
        if close is not None:
            close()
