"""The part of wasmtime's C API that the bridge uses, loaded straight from the wheel's shared library.

The only file that knows wasmtime. It uses the documented C API (https://docs.wasmtime.dev/c-api/), not the Python
classes of wasmtime-py: ``import wasmtime`` costs 40 ms where loading the library costs 2 ms, and a call through
wasmtime-py's ``Func`` costs 35 us where a prebound ctypes call costs 1 us.
"""

# Without pathlib and importlib.util, whose imports would be a sixth of a warm start.
# ruff: noqa: PTH110, PTH118, PTH120, PTH208

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from ctypes import POINTER, Structure, byref, c_bool, c_char_p, c_int64, c_size_t, c_uint8, c_uint64, c_void_p
from functools import cache, partial

from wasqlite.bridge.errors import LinkError, LoadError, Trap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

TESTED = "50.0.1"
OLDEST = 48

FUNC, GLOBAL, TABLE, MEMORY = 0, 1, 2, 3
FUNCREF = 5
"""A value's kind, of which the numbers are those of LETTERS otherwise."""
# wasm_valkind_t, as the letters that signatures are written in.
LETTERS = {0: "i", 1: "I", 2: "f", 3: "F"}

HostCallback = ctypes.CFUNCTYPE(c_void_p)
"""A host function, declared without its four parameters: they are not needed (see ``adapter``), and a callee that
ignores arguments is sound in every calling convention that wasmtime runs on."""

EpochCallback = ctypes.CFUNCTYPE(c_void_p, c_uint64, c_uint64, c_uint64)
"""What wasmtime asks when the epoch was advanced: of (context, data, where to put the next deadline, what else to do),
without the last, it answers with an error that ends the guest's call, or NULL."""


class Vec(Structure):
    """``wasm_byte_vec_t`` and its like: a size and a pointer."""

    _fields_ = (("size", c_size_t), ("data", c_void_p))
    size: int
    data: int | None

    def text(self) -> str:
        return ctypes.string_at(self.data or 0, self.size).decode("utf-8", "replace") if self.size else ""


class Extern(Structure):
    """``wasmtime_extern_t``: a kind and a union of handles, of which the largest has 24 bytes."""

    _fields_ = (("kind", c_uint8), ("handle", c_uint64 * 3))
    kind: int
    handle: ctypes.Array[c_uint64]

    @property
    def address(self) -> int:
        """Where the union is: the address of the ``wasmtime_func_t``, ``wasmtime_memory_t``, ..."""
        return ctypes.addressof(self) + Extern.handle.offset  # type: ignore[attr-defined, no-any-return]


class Value(Structure):
    """``wasmtime_val_t``: a kind and a 24-byte union. wasmtime writes all of it, whatever the kind."""

    _fields_ = (("kind", c_uint8), ("bits", c_int64), ("rest", c_int64 * 2))
    kind: int
    bits: int


class Api:
    """The prebound C functions of one loaded library."""

    def __init__(self, path: str, version: str) -> None:
        self.path = path
        self.version = version
        try:
            library = ctypes.CDLL(path)
            holding = ctypes.PyDLL(path)
        except OSError as error:
            raise LoadError(f"cannot load wasmtime's library {path}: {error}") from error
        p = c_void_p

        def bind(name: str, result: Any, *params: Any, owner: ctypes.CDLL = holding) -> Any:
            try:
                function = getattr(owner, name)
            except AttributeError:
                raise LoadError(
                    f"wasmtime {version} has no C function {name}; wasqlite was tested with wasmtime {TESTED}"
                ) from None
            function.restype = result
            function.argtypes = params
            return function

        # Functions that may run long release the GIL (CDLL); all others keep it (PyDLL), which is 0.1 us cheaper.
        self.call_releasing: Any = bind("wasmtime_func_call_unchecked", p, owner=library)
        self.call_holding: Any = bind("wasmtime_func_call_unchecked", p)
        # No argument types: see `invocation`.
        self.call_releasing.argtypes = self.call_holding.argtypes = None

        self.config_new = bind("wasm_config_new", p)
        self.config_parallel_compilation = bind("wasmtime_config_parallel_compilation_set", None, p, c_bool)
        self.config_opt_level = bind("wasmtime_config_cranelift_opt_level_set", None, p, c_uint8)
        self.config_memory_may_move = bind("wasmtime_config_memory_may_move_set", None, p, c_bool)
        self.config_max_wasm_stack = bind("wasmtime_config_max_wasm_stack_set", None, p, c_size_t)
        self.config_epoch_interruption = bind("wasmtime_config_epoch_interruption_set", None, p, c_bool)
        # Of WebAssembly, what no C library needs and a hostile module could use: shared memory to wait for ever, others
        # to get more memory. (Code for threads as such is harmless, and atomic operations are common.)
        unwanted = ["wasm_memory64", "wasm_multi_memory", "wasm_gc", "wasm_function_references", "wasm_stack_switching"]
        unwanted.append("shared_memory" if hasattr(holding, "wasmtime_config_shared_memory_set") else "wasm_threads")
        self.config_without = [
            bind(f"wasmtime_config_{feature}_set", None, p, c_bool)
            for feature in unwanted
            if hasattr(holding, f"wasmtime_config_{feature}_set")  # older versions do not have them all
        ]
        self.engine_new = bind("wasm_engine_new_with_config", p, p)
        self.engine_increment_epoch = bind("wasmtime_engine_increment_epoch", None, p)

        self.module_new = bind("wasmtime_module_new", p, p, p, c_size_t, POINTER(p), owner=library)
        self.module_delete = bind("wasmtime_module_delete", None, p)
        self.module_serialize = bind("wasmtime_module_serialize", p, p, POINTER(Vec))
        self.module_deserialize_file = bind("wasmtime_module_deserialize_file", p, p, c_char_p, POINTER(p))
        self.module_imports = bind("wasmtime_module_imports", None, p, POINTER(Vec))
        self.module_exports = bind("wasmtime_module_exports", None, p, POINTER(Vec))

        self.importtype_module = bind("wasm_importtype_module", POINTER(Vec), p)
        self.importtype_name = bind("wasm_importtype_name", POINTER(Vec), p)
        self.importtype_type = bind("wasm_importtype_type", p, p)
        self.importtype_vec_delete = bind("wasm_importtype_vec_delete", None, POINTER(Vec))
        self.exporttype_name = bind("wasm_exporttype_name", POINTER(Vec), p)
        self.exporttype_type = bind("wasm_exporttype_type", p, p)
        self.exporttype_vec_delete = bind("wasm_exporttype_vec_delete", None, POINTER(Vec))
        self.externtype_kind = bind("wasm_externtype_kind", c_uint8, p)
        self.externtype_as_functype = bind("wasm_externtype_as_functype_const", p, p)
        self.functype_new = bind("wasm_functype_new", p, POINTER(Vec), POINTER(Vec))
        self.functype_delete = bind("wasm_functype_delete", None, p)
        self.functype_params = bind("wasm_functype_params", POINTER(Vec), p)
        self.functype_results = bind("wasm_functype_results", POINTER(Vec), p)
        self.valtype_kind = bind("wasm_valtype_kind", c_uint8, p)
        self.valtype_equal = bind("wasmtime_wasm_valtype_equal", c_bool, p, p)
        valtype_new = bind("wasm_valtype_new", p, c_uint8)
        self._numbers = [(valtype_new(kind), letter) for kind, letter in LETTERS.items()]

        self.store_new = bind("wasmtime_store_new", p, p, p, p)
        self.store_delete = bind("wasmtime_store_delete", None, p)
        self.store_context = bind("wasmtime_store_context", p, p)
        self.store_limiter = bind("wasmtime_store_limiter", None, p, *[c_int64] * 5)
        self.context_set_epoch_deadline = bind("wasmtime_context_set_epoch_deadline", None, p, c_uint64)
        self.store_epoch_callback = bind("wasmtime_store_epoch_deadline_callback", None, p, EpochCallback, p, p)
        self.wasi_config_new = bind("wasi_config_new", p)
        self.context_set_wasi = bind("wasmtime_context_set_wasi", p, p, p)
        self.linker_new = bind("wasmtime_linker_new", p, p)
        self.linker_define_wasi = bind("wasmtime_linker_define_wasi", p, p)
        self.linker_get = bind(
            "wasmtime_linker_get", c_bool, p, p, c_char_p, c_size_t, c_char_p, c_size_t, POINTER(Extern)
        )
        new = (p, p, p, c_size_t, p, POINTER(p))
        self.instance_new = bind("wasmtime_instance_new", p, *new)
        self.instance_new_releasing = bind("wasmtime_instance_new", p, *new, owner=library)
        self.instance_export_get = bind(
            "wasmtime_instance_export_get", c_bool, p, p, c_char_p, c_size_t, POINTER(Extern)
        )
        # Without conversions: many are made.
        self.instance_export_get_raw: Any = holding["wasmtime_instance_export_get"]
        self.instance_export_get_raw.restype = c_bool
        self.func_new = bind("wasmtime_func_new_unchecked", None, p, p, HostCallback, p, p, p)
        # With any C function as the callback, and what it is given as its first argument.
        self.func_new_raw: Any = holding["wasmtime_func_new_unchecked"]
        self.func_new_raw.restype = None
        self.func_new_raw.argtypes = (p, p, p, p, p, p)
        self.memory_data = bind("wasmtime_memory_data", p, p, p)
        self.memory_data_size = bind("wasmtime_memory_data_size", c_size_t, p, p)
        self.memory_grow = bind("wasmtime_memory_grow", p, p, p, c_uint64, POINTER(c_uint64))
        self.func_type = bind("wasmtime_func_type", p, p, p)
        self.table_get = bind("wasmtime_table_get", c_bool, p, p, c_uint64, POINTER(Value))
        self.table_set = bind("wasmtime_table_set", p, p, p, c_uint64, POINTER(Value))
        self.table_grow = bind("wasmtime_table_grow", p, p, p, c_uint64, POINTER(Value), POINTER(c_uint64))
        self.global_get = bind("wasmtime_global_get", None, p, p, POINTER(Value))
        self.global_set = bind("wasmtime_global_set", p, p, p, POINTER(Value))

        self.wat2wasm = bind("wasmtime_wat2wasm", p, c_char_p, c_size_t, POINTER(Vec))
        self.byte_vec_delete = bind("wasm_byte_vec_delete", None, POINTER(Vec))
        self.error_new = bind("wasmtime_error_new", p, c_char_p)
        self.error_message = bind("wasmtime_error_message", None, p, POINTER(Vec))
        self.error_delete = bind("wasmtime_error_delete", None, p)
        self.trap_message = bind("wasm_trap_message", None, p, POINTER(Vec))
        self.trap_delete = bind("wasm_trap_delete", None, p)

    # -- small conveniences, none of them on a hot path ----------------------------------------------------------

    def invocation(
        self,
        context: int,
        function: int,
        slots: ctypes.Array[Any],
        count: int,
        traps: ctypes.Array[c_void_p],
        *,
        hold_gil: bool = False,
    ) -> Callable[[], int | None]:
        """A call whose arguments never change: an error or None. The caller keeps ``slots`` and ``traps`` alive.

        ``from_param`` makes what ctypes makes of an argument in each call, 0.05 us for each, and passes as it is.
        """
        address = c_void_p.from_param
        return partial(
            self.call_holding if hold_gil else self.call_releasing,
            address(context),
            address(function),
            address(ctypes.addressof(slots)),
            c_size_t.from_param(count),
            address(ctypes.addressof(traps)),
        )

    def take_error(self, error: int) -> str:
        """The message of a ``wasmtime_error_t``, which is deleted."""
        message = Vec()
        self.error_message(error, byref(message))
        text = message.text()
        self.byte_vec_delete(byref(message))
        self.error_delete(error)
        return text

    def trap_text(self, trap: int) -> str:
        """The message of a ``wasm_trap_t``."""
        message = Vec()
        self.trap_message(trap, byref(message))
        text = message.text().rstrip("\0")
        self.byte_vec_delete(byref(message))
        return text

    def signature(self, functype: int, plain: bool = False) -> tuple[str, str]:
        """A function type as (letters of the parameters, letters of the results); ``?`` for any other type.

        ``plain`` is for types of which nobody could have made anything but numbers, since wasm_valtype_kind ends the
        process when it meets a type that it does not know: a vector, a reference.
        """
        kind, equal, numbers = self.valtype_kind, self.valtype_equal, self._numbers

        def letters(vec: Any) -> str:
            types = (c_void_p * vec.contents.size).from_address(vec.contents.data or 0) if vec.contents.size else ()
            if plain:
                return "".join(LETTERS.get(kind(t), "?") for t in types)
            return "".join(next((letter for number, letter in numbers if equal(number, t)), "?") for t in types)

        return letters(self.functype_params(functype)), letters(self.functype_results(functype))

    def imports(self, module: int, plain: bool) -> list[tuple[str, str, tuple[str, str] | None]]:
        """A module's imports in order: (module, name, signature), the signature None for what is not a function."""
        vec = Vec()
        self.module_imports(module, byref(vec))
        found = []
        for item in (c_void_p * vec.size).from_address(vec.data or 0) if vec.size else ():
            names = self.importtype_module(item).contents.text(), self.importtype_name(item).contents.text()
            found.append((*names, self._function_signature(self.importtype_type(item), plain)))
        self.importtype_vec_delete(byref(vec))
        return found

    def exports(self, module: int, plain: bool) -> dict[str, tuple[str, str] | None]:
        """A module's exports: name to signature, the signature None for what is not a function."""
        vec = Vec()
        self.module_exports(module, byref(vec))
        found = {}
        for item in (c_void_p * vec.size).from_address(vec.data or 0) if vec.size else ():
            found[self.exporttype_name(item).contents.text()] = self._function_signature(
                self.exporttype_type(item), plain
            )
        self.exporttype_vec_delete(byref(vec))
        return found

    def _function_signature(self, externtype: int, plain: bool) -> tuple[str, str] | None:
        if self.externtype_kind(externtype) != FUNC:
            return None
        return self.signature(self.externtype_as_functype(externtype), plain)

    def compile(self, engine: int, wasm: bytes) -> int:
        """Compile a module: its address."""
        module = c_void_p()
        error = self.module_new(engine, wasm, len(wasm), byref(module))
        if error:
            raise LoadError(f"wasmtime {self.version} does not compile this module: {self.take_error(error)}")
        return module.value or 0

    def serialize(self, module: int) -> bytes:
        """The compiled code of a module, to be loaded again with ``deserialize_file``."""
        vec = Vec()
        error = self.module_serialize(module, byref(vec))
        if error:
            raise LoadError(f"cannot serialize a compiled module: {self.take_error(error)}")
        artifact = ctypes.string_at(vec.data or 0, vec.size)
        self.byte_vec_delete(byref(vec))
        return artifact

    def deserialize_file(self, engine: int, path: bytes) -> int:
        """Map compiled code from a file that the caller trusts: the module's address, or 0 if it does not fit."""
        module = c_void_p()
        error = self.module_deserialize_file(engine, path, byref(module))
        if error:
            self.error_delete(error)
            return 0
        return module.value or 0

    def instantiate(
        self, context: int, module: int, imports: list[Extern], *, release_gil: bool = False
    ) -> ctypes.Array[c_uint64]:
        """A ``wasmtime_instance_t`` in the store of ``context``. ``release_gil``: while its start function runs."""
        externs = (Extern * len(imports))(*imports)
        instance = (c_uint64 * 2)()
        trap = c_void_p()
        new = self.instance_new_releasing if release_gil else self.instance_new
        error = new(context, module, externs, len(imports), instance, byref(trap))
        if error:
            raise LinkError(f"cannot instantiate the module: {self.take_error(error)}")
        if trap.value:
            text = self.trap_text(trap.value)
            self.trap_delete(trap.value)
            raise Trap(f"the module's start function trapped: {text}")
        return instance

    def export(self, context: int, instance: ctypes.Array[c_uint64], name: str, kind: int) -> Extern | None:
        """An instance's export, if it has one of that name and kind."""
        extern = Extern()
        encoded = name.encode()
        if not self.instance_export_get(context, instance, encoded, len(encoded), byref(extern)):
            return None
        return extern if extern.kind == kind else None

    def function_at(self, context: int, table: Extern, index: int) -> Extern | None:
        """The function in a table's slot; None if there is no such slot, or nothing in it."""
        value = Value()
        if not self.table_get(context, table.address, index, byref(value)) or value.kind != FUNCREF or not value.bits:
            return None
        extern = Extern(kind=FUNC)
        extern.handle[0], extern.handle[1] = value.bits, value.rest[0]
        return extern

    def numbered(self, context: int, instance: ctypes.Array[c_uint64], count: int) -> list[Extern]:
        """An instance's exports "0", "1", and so on, which must be there."""
        get, where, of = self.instance_export_get_raw, c_void_p.from_param(context), byref(instance)
        externs = (Extern * count)()
        for extern, (name, size) in zip(externs, _names(count), strict=True):
            if not get(where, of, name, size, byref(extern)):
                raise LinkError("the adapter has not all of its exports")
        return list(externs)

    def set_function(self, context: int, table: Extern, index: int, function: Extern) -> None:
        """Put a function into a table's slot, which must be there."""
        error = self.table_set(context, table.address, index, byref(_reference(function)))
        if error:
            raise LinkError(f"cannot fill a table: {self.take_error(error)}")

    def put_function(self, context: int, table: Extern, function: Extern) -> int | None:
        """Append a function to a table: its index, None if the table cannot grow."""
        value = _reference(function)
        index = c_uint64()
        error = self.table_grow(context, table.address, 1, byref(value), byref(index))
        if error:
            self.error_delete(error)
            return None
        return index.value

    def function_signature(self, context: int, function: Extern) -> tuple[str, str]:
        """The type of any function, as letters."""
        functype = self.func_type(context, function.address)
        found = self.signature(functype)
        self.functype_delete(functype)
        return found

    def wat(self, text: str) -> bytes:
        """WebAssembly text to binary."""
        vec = Vec()
        encoded = text.encode()
        error = self.wat2wasm(encoded, len(encoded), byref(vec))
        if error:
            raise LoadError(self.take_error(error))
        wasm = ctypes.string_at(vec.data or 0, vec.size)
        self.byte_vec_delete(byref(vec))
        return wasm


@cache
def _names(count: int) -> list[tuple[Any, Any]]:
    names = [str(number).encode() for number in range(count)]
    return [(c_char_p(name), c_size_t(len(name))) for name in names]


def _reference(function: Extern) -> Value:
    value = Value(kind=FUNCREF, bits=function.handle[0])
    value.rest[0] = function.handle[1]
    return value


def _missing(reason: str) -> NoReturn:
    raise LoadError(f"{reason}; install it with: pip install 'wasmtime>={OLDEST}'")


def host_machine() -> str:
    """The processor's name, as ``platform.machine()`` has it; that module's import is 2 ms of a warm start."""
    if hasattr(os, "uname"):
        return os.uname().machine
    import platform

    return platform.machine()


def _library_path(package: str) -> str:
    # The layout of the wheels, one folder per platform with the one library in it.
    machine = {"AMD64": "x86_64", "arm64": "aarch64", "ARM64": "aarch64"}.get(host_machine(), host_machine())
    system = "android" if hasattr(sys, "getandroidapilevel") else sys.platform
    name = {"win32": "_wasmtime.dll", "darwin": "_libwasmtime.dylib"}.get(system, "_libwasmtime.so")
    path = os.path.join(package, f"{system}-{machine}", name)
    if not os.path.exists(path):
        _missing(f"the installed wasmtime has no library for {system} on {machine} (looked for {path})")
    return path


def _version(package: str) -> str:
    # Reading the folder's name is 10 ms cheaper than importing importlib.metadata; that stays as the second way.
    prefix, suffix = "wasmtime-", ".dist-info"
    names = [name for name in os.listdir(os.path.dirname(package)) if name.startswith(prefix) and name.endswith(suffix)]
    if len(names) == 1:
        return names[0].removeprefix(prefix).removesuffix(suffix)
    from importlib.metadata import version

    return version("wasmtime")


@cache
def api() -> Api:
    """The loaded library, once per process."""
    specs = (finder.find_spec("wasmtime", None) for finder in sys.meta_path)
    spec = next(filter(None, specs), None)
    if spec is None or spec.origin is None:
        _missing("wasqlite needs the package wasmtime, which is not installed")
    package = os.path.dirname(spec.origin)
    version = _version(package)
    if int(version.partition(".")[0]) < OLDEST:
        _missing(f"wasqlite needs wasmtime {OLDEST} or newer, and this is {version}")
    return Api(_library_path(package), version)
