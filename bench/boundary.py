"""What it costs to cross into C and back: the bridge, raw and typed, beside ctypes and cffi on the same functions.

``python bench/boundary.py [rounds]`` (``make bench-bridge``). The C functions of ``bench/boundary/`` do next to
nothing; the bridge calls them in a sandbox, the others natively (``gcc -O2``). Processor time per call, the median of
rounds in which all take turns; quote the ratios. What is copied is said in the table: natively nothing has to be.
"""

from __future__ import annotations

import ctypes
import importlib.util
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cffi

from wasqlite.bridge import Instance, Library, Policy
from wasqlite.bridge.builder import build, parse_configuration
from wasqlite.bridge.builder.cache import cache_directory, sha256
from wasqlite.bridge.builder.report import BuildError, step

SOURCES = Path(__file__).resolve().with_name("boundary")
HEADER, CODE = SOURCES / "boundary.h", SOURCES / "boundary.c"
MIB = 1 << 20
CALLBACKS = 100
"""How often a callback is called in one call: what it costs is divided by it."""
TEXT = b"the quick brown fox jumps over the lazy dog"

Operation = Callable[[], object]


def output() -> Path:
    """The folder of what is built, by what it is built from."""
    digest = sha256(b"".join(path.read_bytes() for path in (HEADER, CODE)))
    return cache_directory() / f"boundary-{digest[:16]}"


def sandboxed() -> Path:
    """The module, made by the bridge's builder."""
    table = {"name": "boundary", "sources": ["boundary.c"], "headers": ["boundary.h"], "output": str(output())}
    return build(parse_configuration(SOURCES, table)).wasm


def native() -> Path:
    """The shared library."""
    made = output() / "libboundary.so"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with step("compile boundary.c natively"):
            try:
                subprocess.run(["gcc", "-O2", "-fPIC", "-shared", str(CODE), "-o", str(made)], check=True)
            except FileNotFoundError:
                raise BuildError("gcc was not found: install it (Debian: apt-get install gcc libc6-dev)") from None
    return made


def declarations() -> str:
    """The header as cffi reads it."""
    lines = HEADER.read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith(("#", "/*")))


def extension() -> tuple[Any, Any]:
    """cffi in API mode, which needs a compiler and Python's headers: ``ffi`` and ``lib``."""
    name = f"_boundary_{sys.implementation.cache_tag.replace('-', '_')}"
    found = list(output().glob(f"{name}*.so"))
    if not found:
        with step("compile boundary.c for cffi"):
            ffi = cffi.FFI()
            ffi.cdef(declarations())
            ffi.set_source(name, CODE.read_text().replace('"boundary.h"', f'"{HEADER}"'), extra_compile_args=["-O2"])
            found = [Path(ffi.compile(tmpdir=str(output())))]
    spec = importlib.util.spec_from_file_location(name, found[0])
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ffi, module.lib


class Point(ctypes.Structure):
    """``struct point``, for ctypes."""

    _fields_ = (("x", ctypes.c_double), ("y", ctypes.c_double), ("color", ctypes.c_int))


def raw(guest: Instance) -> dict[str, Operation]:
    """The bridge's calls with numbers and addresses; what is behind addresses is the caller's business."""
    memory = guest.memory
    function = partial(guest.function, hold_gil=True)
    add, length, greeting, shift = function("add"), function("length"), function("greeting"), function("shift")
    digest, fill = guest.function("digest"), guest.function("fill")
    malloc, free = function("malloc"), function("free")
    point = malloc(24)
    block = malloc(MIB)
    data = bytes(MIB)

    def string_in() -> int:
        address = malloc(len(TEXT) + 1)
        memory.write(address, TEXT + b"\0")
        size = length(address)
        free(address)
        return size

    def buffer_in() -> int:
        memory.write(block, data)
        return digest(block, MIB)

    def buffer_out() -> bytes:
        fill(block, MIB, 7)
        return memory.read(block, MIB)

    return {
        "add(2, 3)": partial(add, 2, 3),
        "string in": string_in,
        "string out": lambda: memory.string(greeting()),
        "struct, changed in place": partial(shift, point, 0.5),
        "1 MiB in": buffer_in,
        "1 MiB out": buffer_out,
    }


def typed(guest: Instance) -> dict[str, Operation]:
    """The same through the library's header."""
    lib = guest.lib
    point = guest.new("struct point *", {"x": 1.0, "y": 2.0})
    callback = guest.callback("int (int)", lambda value: value, error=0)
    data, out = bytes(MIB), bytearray(MIB)
    for name in ("add", "each", "length", "greeting", "shift", "norm", "digest", "fill"):
        getattr(lib, name)  # made when it is first asked for
    return {
        "add(2, 3)": lambda: lib.add(2, 3),
        f"callback (1 of {CALLBACKS})": lambda: lib.each(callback, CALLBACKS),
        "string in": lambda: lib.length(TEXT),
        "string out": lambda: lib.greeting().string(),
        "struct, changed in place": lambda: lib.shift(point, 0.5),
        "struct by value": lambda: lib.norm(point),
        "1 MiB in": lambda: lib.digest(data, MIB),
        "1 MiB out": lambda: lib.fill(guest.out(out), MIB, 7),
    }


def with_ctypes() -> dict[str, Operation]:
    """ctypes, with declared argument types."""
    lib = ctypes.CDLL(str(native()))
    callback_type = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)
    signatures: dict[str, tuple[Any, ...]] = {
        "add": (ctypes.c_int, ctypes.c_int, ctypes.c_int),
        "each": (ctypes.c_int, callback_type, ctypes.c_int),
        "length": (ctypes.c_size_t, ctypes.c_char_p),
        "greeting": (ctypes.c_char_p,),
        "shift": (None, ctypes.POINTER(Point), ctypes.c_double),
        "norm": (ctypes.c_double, Point),
        "digest": (ctypes.c_uint64, ctypes.c_void_p, ctypes.c_size_t),
        "fill": (None, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int),
    }
    for name, (result, *params) in signatures.items():
        getattr(lib, name).restype, getattr(lib, name).argtypes = result, params
    point = Point(1.0, 2.0)
    address = ctypes.byref(point)
    callback = callback_type(lambda value: value)
    data, out = bytes(MIB), ctypes.create_string_buffer(MIB)
    return {
        "add(2, 3)": lambda: lib.add(2, 3),
        f"callback (1 of {CALLBACKS})": lambda: lib.each(callback, CALLBACKS),
        "string in": lambda: lib.length(TEXT),
        "string out": lambda: lib.greeting(),
        "struct, changed in place": lambda: lib.shift(address, 0.5),
        "struct by value": lambda: lib.norm(point),
        "1 MiB in": lambda: lib.digest(data, MIB),
        "1 MiB out": lambda: lib.fill(out, MIB, 7),
    }


def with_cffi(ffi: Any, lib: Any, keep: list[object]) -> dict[str, Operation]:
    """cffi, in the mode that made these two."""
    point = ffi.new("struct point *", {"x": 1.0, "y": 2.0})
    callback = ffi.callback("int (int)", lambda value: value)
    data, out = bytes(MIB), bytearray(MIB)
    view = ffi.from_buffer(out)
    keep += [ffi, point, callback, view]
    return {
        "add(2, 3)": lambda: lib.add(2, 3),
        f"callback (1 of {CALLBACKS})": lambda: lib.each(callback, CALLBACKS),
        "string in": lambda: lib.length(TEXT),
        "string out": lambda: ffi.string(lib.greeting()),
        "struct, changed in place": lambda: lib.shift(point, 0.5),
        "struct by value": lambda: lib.norm(point[0]),
        "1 MiB in": lambda: lib.digest(ffi.from_buffer(data), MIB),
        "1 MiB out": lambda: lib.fill(view, MIB, 7),
    }


def per_call(operation: Operation, count: int) -> float:
    """Seconds of processor time of one call, with the loop around it."""
    start = time.process_time()
    for _ in range(count):
        operation()
    return (time.process_time() - start) / count


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    keep: list[object] = []
    ffi = cffi.FFI()
    ffi.cdef(declarations())
    library = Library.load(sandboxed())
    guest = library.open(Policy())
    subjects = {
        "raw": raw(guest),
        "typed": typed(guest),
        "ctypes": with_ctypes(),
        "cffi": with_cffi(ffi, ffi.dlopen(str(native())), keep),
        "cffi, API mode": with_cffi(*extension(), keep),
    }
    print("microseconds of processor time per call; in parentheses: how often the bridge's typed call takes as long\n")
    print(f"{'':<26}" + "".join(f"{name:>18}" for name in subjects) + f"{'typed / raw':>14}")
    for name in subjects["typed"]:
        count = 50 if "MiB" in name else 500 if "callback" in name else 5000
        divisor = CALLBACKS if "callback" in name else 1
        times: dict[str, list[float]] = {subject: [] for subject, found in subjects.items() if name in found}
        for _ in range(rounds):
            for subject, found in times.items():
                found.append(per_call(subjects[subject][name], count) / divisor)
        medians = {subject: statistics.median(found) * 1e6 for subject, found in times.items()}
        cells = []
        for subject in subjects:
            if subject not in medians:
                cells.append(f"{'-':>18}")
            elif subject in ("raw", "typed"):
                cells.append(f"{medians[subject]:>18.3f}")
            else:
                cells.append(f"{medians[subject]:>10.3f} ({medians['typed'] / medians[subject]:5.2f})")
        ratio = f"{medians['typed'] / medians['raw']:>14.2f}" if "raw" in medians else f"{'-':>14}"
        print(f"{name:<26}" + "".join(cells) + ratio)
    print(
        "\nThe sandbox's memory is its own, so strings, structs by value and buffers are copied; natively they are not."
    )
    guest.close()


if __name__ == "__main__":
    try:
        main()
    except BuildError as error:
        sys.exit(str(error))
