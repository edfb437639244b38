"""Compile SQLite and `c-src/` to one wasm module, `src/wasqlite/_wasm/sqlite.wasm`, with the bridge's builder.

Nothing is done when no input changed; objects are cached by the content of what went into them.
The same inputs give the same bytes in every directory. Run as a script, it prints the module's SHA-256.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from fetch_sqlite import NPM_PACKAGE, SQLITE_SHA256, SQLITE_SOURCE_ID, SQLITE_VERSION, fetch
from source_tree import ROOT
from wasqlite.bridge.builder.cache import sha256
from wasqlite.bridge.builder.features import RUNTIME
from wasqlite.bridge.builder.linking import ALWAYS_EXPORTED, link, link_flags
from wasqlite.bridge.builder.report import BuildError, run_command, say
from wasqlite.bridge.builder.stamp import is_current, write_outputs
from wasqlite.bridge.builder.toolchain import Toolchain, find_toolchain
from wasqlite.bridge.builder.units import Units, compile_units
from wasqlite.bridge.builder.wasm_sections import read_exports_list, read_sections

MODULE_NAME = "sqlite.wasm"
PROVENANCE_NAME = "provenance.json"

COMPILE_FLAGS = (
    "-std=gnu17",
    "-O2",
    "-msimd128",
    # clang calls itself GCC 4.2, which SQLite takes to have neither byte swaps nor checked arithmetic: it then reads
    # the file format's big-endian integers byte by byte. 3.6 % fewer instructions in speedtest1.
    "-fgnuc-version=13.2.0",
    "-Wall",
    "-Wextra",
    # Bytes that depend on when they were compiled are an error, not a surprise.
    "-Werror=date-time",
    # zig's C compiler switches it on in some modes.
    "-fno-sanitize=undefined",
)
LINK_FLAGS = link_flags(1 << 20, table=False)


def sqlite_units(sources: Path, amalgamation: Path) -> Units:
    """What the C files are compiled with. A "system" folder: our warnings are not applied to the amalgamation."""
    return Units(
        flags=COMPILE_FLAGS,
        include=(sources,),
        system_include=(amalgamation,),
        names=((amalgamation, "sqlite"), (sources, "c-src"), (RUNTIME, "wasqlite")),
    )


def source_files(sources: Path) -> list[Path]:
    """The C files in `sources`, and the builder's heap."""
    return sorted([*sources.glob("*.c"), RUNTIME / "heap.c"], key=lambda path: path.name)


def source_digests(sources: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of ours that can reach the module, by name."""
    files = [*source_files(sources), *sources.glob("*.h"), sources / "exports.txt"]
    return {path.name: sha256(path.read_bytes()) for path in sorted(files, key=lambda path: path.name)}


def describe_inputs(sources: Path, toolchain: Toolchain) -> Any:
    """Return everything that determines the module's bytes; it names no path of this machine."""
    return {
        "sqlite": {
            "version": SQLITE_VERSION,
            "source_id": SQLITE_SOURCE_ID,
            "package": NPM_PACKAGE,
            "sha256": SQLITE_SHA256,
        },
        "sources": source_digests(sources),
        "compiler": toolchain.identity,
        "flags": {"compile": [*toolchain.compile_flags, *COMPILE_FLAGS], "link": list(LINK_FLAGS)},
    }


def check_exports(module: bytes, listed: list[str]) -> None:
    """Raise BuildError unless the module exports exactly what exports.txt lists."""
    actual = {name for name, _ in read_sections(module).exports}
    expected = {*listed, *ALWAYS_EXPORTED}
    if actual != expected:
        difference = ", ".join(
            [f"{name} is not listed" for name in sorted(actual - expected)]
            + [f"{name} is missing" for name in sorted(expected - actual)]
        )
        raise BuildError(f"the module's exports differ from c-src/exports.txt: {difference}")


def compile_module(sources: Path, toolchain: Toolchain) -> bytes:
    """Compile and link everything in `sources`; return the module."""
    objects = compile_units(sqlite_units(sources, fetch()), source_files(sources), toolchain)
    exports = read_exports_list(sources / "exports.txt")
    module = link(objects, exports, toolchain, LINK_FLAGS)
    check_exports(module, exports)
    return module


def build_module(root: Path = ROOT) -> Path:
    """Bring `src/wasqlite/_wasm/` up to date and return it."""
    sources = root / "c-src"
    if not (sources / "exports.txt").is_file():
        raise BuildError(f"{sources} holds no exports.txt: this is not a complete source tree, clone it again")
    output = root / "src" / "wasqlite" / "_wasm"
    toolchain = find_toolchain()
    inputs = describe_inputs(sources, toolchain)
    if not is_current(output / PROVENANCE_NAME, inputs, {"module": MODULE_NAME}):
        module = compile_module(sources, toolchain)
        write_outputs(output / PROVENANCE_NAME, inputs, {"module": (MODULE_NAME, module)})
        say(f"{MODULE_NAME}: {len(module) / 1e6:.2f} MB, SHA-256 {sha256(module)}")
    return output


def main() -> None:
    parser = argparse.ArgumentParser(description="Compile SQLite to wasm; do nothing when it is up to date.")
    parser.add_argument("--root", type=Path, default=ROOT, help="source tree (default: the one of this script)")
    parser.add_argument("--force", action="store_true", help="rebuild, though from cached objects")
    arguments = parser.parse_args()
    root = arguments.root.resolve()
    if arguments.force:
        shutil.rmtree(root / "src" / "wasqlite" / "_wasm", ignore_errors=True)
    output = build_module(root)
    print(sha256((output / MODULE_NAME).read_bytes()))


if __name__ == "__main__":
    run_command(main)
