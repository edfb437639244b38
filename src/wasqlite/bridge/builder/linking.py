"""Link objects to a reactor: a library with a start function instead of a program."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from wasqlite.bridge.builder.report import BuildError, step
from wasqlite.bridge.builder.toolchain import Toolchain
from wasqlite.bridge.builder.units import show_messages

STACK_SIZE = 1 << 20
# What the linker exports by itself from a reactor.
ALWAYS_EXPORTED = ("memory", "_initialize")
# What the bridge needs of every module that is called with C types.
BRIDGE_EXPORTS = ("__stack_pointer", "malloc", "realloc", "free")


def link_flags(stack_size: int = STACK_SIZE, *, table: bool = True) -> tuple[str, ...]:
    """The linker's flags. ``table``: export the table of function pointers, so that the host can add to it."""
    return (
        "-O2",
        "--strip-all",
        "--build-id=none",
        "--entry=_initialize",
        "--export-memory",
        # The stack comes first, so that running over its end is a trap instead of overwritten data.
        "--stack-first",
        "-z",
        f"stack-size={stack_size}",
        *(("--export-table", "--growable-table") if table else ()),
    )


def link(
    objects: Mapping[str, Path],
    exports: Iterable[str],
    toolchain: Toolchain,
    flags: Sequence[str],
    *,
    if_defined: Iterable[str] = (),
    libraries: Iterable[Path] = (),
) -> bytes:
    """Link the named objects and return the module. ``exports`` must exist; those of ``if_defined`` need not."""
    with step("link"), tempfile.TemporaryDirectory(prefix="wasqlite-") as temporary:
        scratch = Path(temporary)
        for name, cached in objects.items():
            # Under its own name, for the linker's messages.
            shutil.copyfile(cached, scratch / name)
        command = [
            *toolchain.linker,
            *flags,
            *(f"--export={name}" for name in exports if name not in ALWAYS_EXPORTED),
            *(f"--export-if-defined={name}" for name in if_defined),
            *objects,
            *map(str, libraries),
            *map(str, toolchain.libraries),
            "-o",
            "module.wasm",
        ]
        done = toolchain.run(command, scratch)
        show_messages(done.stderr)
        if done.returncode != 0:
            raise BuildError(f"linking failed with {toolchain.identity}: see the messages above")
        return (scratch / "module.wasm").read_bytes()
