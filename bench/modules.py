"""The wasm module with something more in it: the program speedtest1, or the names of its functions."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from native import ROOT, cache_directory, fetch, sha256  # isort: skip  (makes build/ importable)

from compile import LINK_FLAGS, source_files, sqlite_units
from fetch_upstream import fetch as fetch_upstream
from wasqlite.bridge.builder.cache import write_atomically
from wasqlite.bridge.builder.linking import link
from wasqlite.bridge.builder.toolchain import find_toolchain
from wasqlite.bridge.builder.units import compile_units
from wasqlite.bridge.builder.wasm_sections import read_exports_list

SPEEDTEST_MAIN = "speedtest1_main"
# main() is a function like others here: what it printed is flushed when it returns, not when a process ends.
_WRAPPER = f"""
#pragma clang diagnostic ignored "-Wsign-compare"
#pragma clang diagnostic ignored "-Wunused-parameter"
#define main program
#include "speedtest1.c"
int {SPEEDTEST_MAIN}(int argc, char **argv) {{
  int code = program(argc, argv);
  fflush(NULL);
  return code;
}}
"""


def speedtest_program() -> Path:
    """SQLite's source file."""
    return fetch_upstream() / "test" / "speedtest1.c"


def build(*, speedtest: bool = False, names: bool = False) -> Path:
    """The module, from the build's own cached objects: the same code, whatever is added."""
    toolchain = find_toolchain()
    exports = read_exports_list(ROOT / "c-src" / "exports.txt")
    units = sqlite_units(ROOT / "c-src", fetch())
    with tempfile.TemporaryDirectory() as scratch:
        sources = source_files(ROOT / "c-src")
        if speedtest:
            wrapper = Path(scratch) / "speedtest1_wrapper.c"
            wrapper.write_text(_WRAPPER)
            shutil.copy(speedtest_program(), wrapper.parent / "speedtest1.c")
            sources.append(wrapper)
            exports.append(SPEEDTEST_MAIN)
        objects = compile_units(units, sources, toolchain)
    flags = ["--strip-debug" if names and flag == "--strip-all" else flag for flag in LINK_FLAGS]
    module = link(objects, exports, toolchain, flags)
    path = cache_directory() / "bench" / f"sqlite-{sha256(module)[:16]}.wasm"
    if not path.exists():
        write_atomically(path, module)
    return path
