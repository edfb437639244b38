"""Compile SQLite and `c-src/` to one wasm module, `src/wasqlite/_wasm/sqlite.wasm`.

Nothing is done when no input changed; objects are cached by the content of what went into them.
The same inputs give the same bytes in every directory. Run as a script, it prints the module's SHA-256.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cache import cache_directory, sha256, write_atomically
from fetch_sqlite import SQLITE_SHA256, fetch
from report import BuildError, run_command, say, step
from stamp import MODULE_NAME, describe_inputs, digest_of, is_current, write_output
from toolchain import Toolchain, find_toolchain
from wasm_sections import read_exports_list, read_sections

ROOT = Path(__file__).resolve().parent.parent
STACK_SIZE = 1 << 20
# What the linker exports by itself from a reactor.
ALWAYS_EXPORTED = ("memory", "_initialize")
KEPT_OBJECTS = 200

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
# A reactor: a library with a start function instead of a program. The stack comes first, so that
# running over its end is a trap instead of overwritten data.
LINK_FLAGS = (
    "-O2",
    "--strip-all",
    "--build-id=none",
    "--entry=_initialize",
    "--export-memory",
    "--stack-first",
    "-z",
    f"stack-size={STACK_SIZE}",
)

_INCLUDE = re.compile(rb"^[ \t]*#[ \t]*include\b[ \t]*(.*)$", re.MULTILINE)
_QUOTED = re.compile(rb'"([^"]+)"')


def included_files(source: Path) -> list[Path]:
    """Return the files of `c-src` that `source` includes, directly or not; all headers when in doubt."""
    folder = source.parent
    found: list[Path] = []
    pending = [source]
    while pending:
        for argument in _INCLUDE.findall(pending.pop().read_bytes()):
            if argument.startswith(b"<"):
                continue
            quoted = _QUOTED.match(argument)
            if quoted is None:  # a macro
                return sorted(folder.glob("*.h"))
            path = folder / quoted[1].decode()
            if path.is_file() and path not in found:
                found.append(path)
                pending.append(path)
    return sorted(found)


def object_key(source: Path, toolchain: Toolchain) -> str:
    """Return the digest of all that determines the object of `source`."""
    files = [source, *included_files(source)]
    return digest_of(
        {
            "compiler": toolchain.identity,
            "flags": [*toolchain.compile_flags, *COMPILE_FLAGS],
            "files": {path.name: sha256(path.read_bytes()) for path in files},
            "source": source.name,
            "sqlite": SQLITE_SHA256,
        }
    )


def run_tool(toolchain: Toolchain, command: list[str], what: str, directory: Path) -> None:
    """Run the compiler or linker; show its messages, and raise BuildError if it fails."""
    done = toolchain.run(command, directory)
    if done.stderr.strip():
        print(done.stderr.rstrip(), file=sys.stderr, flush=True)
    if done.returncode != 0:
        raise BuildError(f"{what} failed with {toolchain.identity}: see the messages above")


def compile_unit(source: Path, amalgamation: Path, toolchain: Toolchain, cached: Path) -> None:
    """Compile one source file to the object `cached`."""
    with step(f"compile {source.name}"), tempfile.TemporaryDirectory(prefix="wasqlite-") as temporary:
        scratch = Path(temporary)
        command = [
            *toolchain.compiler,
            *toolchain.compile_flags,
            *toolchain.location_flags,
            *COMPILE_FLAGS,
            "-c",
            str(source),
            f"-I{source.parent}",
            # "System", so that our warnings are not applied to SQLite.
            "-isystem",
            str(amalgamation),
            f"-ffile-prefix-map={amalgamation}=sqlite",
            f"-ffile-prefix-map={source.parent}=c-src",
            "-o",
            "unit.o",
        ]
        run_tool(toolchain, command, f"compiling {source.name}", scratch)
        write_atomically(cached, (scratch / "unit.o").read_bytes())


def link(
    objects: dict[str, Path], exports: list[str], toolchain: Toolchain, flags: Sequence[str] = LINK_FLAGS
) -> bytes:
    """Link the named objects and return the module."""
    with step("link"), tempfile.TemporaryDirectory(prefix="wasqlite-") as temporary:
        scratch = Path(temporary)
        for name, cached in objects.items():
            # Under its own name, for the linker's messages.
            shutil.copyfile(cached, scratch / name)
        command = [
            *toolchain.linker,
            *flags,
            *(f"--export={name}" for name in exports if name not in ALWAYS_EXPORTED),
            *objects,
            *map(str, toolchain.libraries),
            "-o",
            "module.wasm",
        ]
        run_tool(toolchain, command, "linking", scratch)
        return (scratch / "module.wasm").read_bytes()


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


def prune(folder: Path, keep: int = KEPT_OBJECTS) -> None:
    """Delete all but the newest cached objects."""
    objects = sorted(folder.glob("*.o"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in objects[keep:]:
        path.unlink(missing_ok=True)


def compile_module(sources: Path, toolchain: Toolchain) -> bytes:
    """Compile and link everything in `sources`; return the module."""
    amalgamation = fetch()
    folder = cache_directory() / "objects"
    objects = {source: folder / f"{object_key(source, toolchain)}.o" for source in sorted(sources.glob("*.c"))}
    missing = [source for source, cached in objects.items() if not cached.is_file()]
    # The largest file takes the longest: start it first.
    missing.sort(key=lambda source: source.name != "sqlite.c")
    exports = read_exports_list(sources / "exports.txt")
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        jobs = [pool.submit(compile_unit, source, amalgamation, toolchain, objects[source]) for source in missing[:1]]
        if not toolchain.is_ready():
            # Takes as long as SQLite: beside it, not after it.
            jobs.append(pool.submit(toolchain.prepare))
        jobs += [pool.submit(compile_unit, source, amalgamation, toolchain, objects[source]) for source in missing[1:]]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    module = link({f"{source.stem}.o": cached for source, cached in objects.items()}, exports, toolchain)
    check_exports(module, exports)
    prune(folder)
    return module


def build_module(root: Path = ROOT) -> Path:
    """Bring `src/wasqlite/_wasm/` up to date and return it."""
    sources = root / "c-src"
    if not (sources / "exports.txt").is_file():
        raise BuildError(f"{sources} holds no exports.txt: this is not a complete source tree, clone it again")
    output = root / "src" / "wasqlite" / "_wasm"
    toolchain = find_toolchain()
    compile_flags = [*toolchain.compile_flags, *COMPILE_FLAGS]
    inputs = describe_inputs(sources, toolchain, compile_flags, list(LINK_FLAGS))
    if not is_current(output, inputs):
        module = compile_module(sources, toolchain)
        write_output(output, inputs, module)
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
