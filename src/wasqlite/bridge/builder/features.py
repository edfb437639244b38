"""What a module can be given beyond plain C: compiler flags, and a little runtime of ours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

RUNTIME = Path(__file__).resolve().parent / "runtime"


@dataclass(frozen=True)
class Feature:
    """The flags that all files are compiled with, and the files that are added."""

    flags: tuple[str, ...]
    sources: tuple[str, ...] = ()


FEATURES = {
    # As wasm exceptions of the final proposal: wasmtime knows no other form.
    "setjmp": Feature(
        ("-mexception-handling", "-mllvm", "-wasm-enable-sjlj", "-mllvm", "-wasm-use-legacy-eh=false"), ("setjmp.c",)
    ),
}


def feature_flags(names: Iterable[str]) -> tuple[str, ...]:
    """The compiler's flags of these features."""
    return tuple(flag for name in names for flag in FEATURES[name].flags)


def feature_sources(names: Iterable[str]) -> list[Path]:
    """The files that these features add to a module."""
    return [RUNTIME / source for name in names for source in FEATURES[name].sources]
