"""What a module can be given beyond plain C: compiler flags, and a little runtime of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

RUNTIME = Path(__file__).resolve().parent / "runtime"


@dataclass(frozen=True)
class Feature:
    """The flags that all files are compiled with, and the files and libraries that are added."""

    flags: tuple[str, ...]
    sources: tuple[str, ...] = ()
    # A folder of headers, which come before the C library's.
    headers: str | None = None
    # Of a wasi-sdk; zig's C library has them all in it.
    libraries: tuple[str, ...] = ()


def _emulation(name: str) -> Feature:
    """A part of POSIX that WASI lacks, and that wasi-libc pretends to have when it is asked to."""
    macro = f"-D_WASI_EMULATED_{name.upper().replace('-', '_')}"
    return Feature((macro,), libraries=(f"libwasi-emulated-{name}.a",))


FEATURES = {
    # As wasm exceptions of the final proposal: wasmtime knows no other form.
    "setjmp": Feature(
        ("-mexception-handling", "-mllvm", "-wasm-enable-sjlj", "-mllvm", "-wasm-use-legacy-eh=false"),
        ("setjmp.c",),
        "include",
    ),
    "signal": _emulation("signal"),
    "process-clocks": _emulation("process-clocks"),
    "getpid": _emulation("getpid"),
    "mman": _emulation("mman"),
}


def feature_flags(names: Iterable[str]) -> tuple[str, ...]:
    """The compiler's flags of these features."""
    return tuple(flag for name in names for flag in FEATURES[name].flags)


def feature_sources(names: Iterable[str]) -> list[Path]:
    """The files that these features add to a module."""
    return [RUNTIME / source for name in names for source in FEATURES[name].sources]


def feature_headers(names: Iterable[str]) -> tuple[Path, ...]:
    """The folders of headers that these features add."""
    return tuple(RUNTIME / headers for name in names if (headers := FEATURES[name].headers))


def feature_libraries(names: Iterable[str]) -> list[str]:
    """The libraries that these features add to a module."""
    return [library for name in names for library in FEATURES[name].libraries]
