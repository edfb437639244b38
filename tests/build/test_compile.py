"""The compile step: what is rebuilt and what is not, with a stand-in for the compiler."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

import compile as compile_step
from wasqlite.bridge.builder import cache
from wasqlite.bridge.builder.report import BuildError
from wasqlite.bridge.builder.toolchain import Toolchain

# A "compiler" that logs its inputs. Its object is the source; its module exports `memory` and `_initialize`.
STAND_IN = r"""
import pathlib, sys
arguments = sys.argv[2:]
output = pathlib.Path(arguments[arguments.index("-o") + 1])
with open(sys.argv[1], "a") as log:
    if "-c" in arguments:
        source = pathlib.Path(arguments[arguments.index("-c") + 1])
        if b"#error" in source.read_bytes():
            sys.exit(f"{source}: error")
        print(source.name, file=log)
        output.write_bytes(source.read_bytes())
    else:
        print("link", file=log)
        exports = b"\x02\x06memory\x02\x00\x0b_initialize\x00\x00"
        output.write_bytes(b"\0asm\1\0\0\0\x07" + bytes([len(exports)]) + exports)
"""


# With the heap, which is the builder's.
ALL = {"sqlite.c", "one.c", "two.c", "heap.c", "link"}


class Tree:
    """A source tree with three units, and the log of its compiler."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.sources = root / "c-src"
        self.sources.mkdir(parents=True)
        self.log = root / "log"
        self.write("sqlite.c", '#include "sqlite_config.h"\n#include "sqlite3.c"\n')
        self.write("sqlite_config.h", "#define A 1\n")
        self.write("one.c", '#include "one.h"\n#include <stdint.h>\n')
        self.write("one.h", '  #  include "inner.h"\n')
        self.write("inner.h", "int inner;\n")
        self.write("two.c", "int two;\n")
        self.write("exports.txt", "# none\n_initialize\n")
        stand_in = root / "cc.py"
        stand_in.write_text(STAND_IN)
        self.toolchain = Toolchain(
            identity="stand-in 1",
            compiler=(sys.executable, str(stand_in), str(self.log)),
            compile_flags=("-O9",),
            linker=(sys.executable, str(stand_in), str(self.log)),
            libraries=(),
        )
        monkeypatch.setattr(compile_step, "find_toolchain", lambda: self.toolchain)
        monkeypatch.setattr(compile_step, "fetch", lambda: root)

    def write(self, name: str, text: str) -> None:
        (self.sources / name).write_text(text)

    def build(self) -> set[str]:
        """Build, and return what the compiler was called for."""
        self.log.write_text("")
        compile_step.build_module(self.root)
        return set(self.log.read_text().split())


@pytest.fixture
def tree(tmp_path: Path, private_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    return Tree(tmp_path / "tree", monkeypatch)


def test_nothing_is_done_when_nothing_changed(tree: Tree) -> None:
    assert tree.build() == ALL
    assert tree.build() == set()


def test_a_changed_file_recompiles_only_its_unit(tree: Tree) -> None:
    tree.build()
    tree.write("two.c", "int three;\n")
    assert tree.build() == {"two.c", "link"}


def test_a_changed_header_recompiles_the_units_that_include_it(tree: Tree) -> None:
    tree.build()
    tree.write("inner.h", "int changed;\n")
    assert tree.build() == {"one.c", "link"}
    tree.write("sqlite_config.h", "#define A 2\n")
    assert tree.build() == {"sqlite.c", "link"}


def test_going_back_costs_only_the_link(tree: Tree) -> None:
    tree.build()
    tree.write("two.c", "int three;\n")
    tree.build()
    tree.write("two.c", "int two;\n")
    assert tree.build() == {"link"}


def test_a_computed_include_depends_on_all_headers(tree: Tree) -> None:
    tree.write("two.c", "#include HEADER\n")
    tree.build()
    tree.write("inner.h", "int changed;\n")
    assert tree.build() == {"one.c", "two.c", "link"}


def test_another_compiler_or_flag_recompiles_everything(tree: Tree) -> None:
    tree.build()
    tree.toolchain = replace(tree.toolchain, identity="stand-in 2")
    assert tree.build() == ALL
    tree.toolchain = replace(tree.toolchain, compile_flags=("-O0",))
    assert tree.build() == ALL


def test_changed_exports_only_link(tree: Tree) -> None:
    tree.build()
    tree.write("exports.txt", "# another comment\n")
    assert tree.build() == {"link"}


@pytest.mark.parametrize("name", [compile_step.MODULE_NAME, compile_step.PROVENANCE_NAME])
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"\0asm damaged", None])
def test_a_damaged_or_missing_output_is_made_again(tree: Tree, name: str, content: bytes | None) -> None:
    tree.build()
    file = tree.root / "src" / "wasqlite" / "_wasm" / name
    whole = file.read_bytes()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert tree.build() == {"link"}
    assert file.read_bytes() == whole


def test_a_compiler_error_is_one_line_after_its_messages(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.write("two.c", "#error\n")
    with pytest.raises(BuildError, match=r"compiling two\.c failed"):
        tree.build()
    assert "two.c: error" in capsys.readouterr().err
    assert not (tree.root / "src" / "wasqlite" / "_wasm").exists()


def test_an_export_that_is_not_listed_is_refused(tree: Tree) -> None:
    tree.write("exports.txt", "wsq_missing\n")
    with pytest.raises(BuildError, match="wsq_missing is missing"):
        tree.build()


def test_long_steps_are_announced(tree: Tree, capsys: pytest.CaptureFixture[str]) -> None:
    tree.build()
    lines = capsys.readouterr().err.splitlines()
    assert "wasqlite build: compile sqlite.c ..." in lines
    assert any(line.startswith("wasqlite build: sqlite.wasm: ") and "SHA-256" in line for line in lines)


def test_an_incomplete_tree_is_one_line(tree: Tree) -> None:
    (tree.sources / "exports.txt").unlink()
    with pytest.raises(BuildError, match=r"holds no exports\.txt"):
        tree.build()


def test_provenance_names_no_path(tree: Tree) -> None:
    tree.build()
    text = (tree.root / "src" / "wasqlite" / "_wasm" / compile_step.PROVENANCE_NAME).read_text()
    assert str(tree.root) not in text
    assert str(cache.cache_directory()) not in text


def test_unwritable_cache_builds_all_the_same(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("WASQLITE_CACHE_DIR", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    cache.cache_directory.cache_clear()
    assert "link" in tree.build()
    assert "cannot be written" in capsys.readouterr().err
