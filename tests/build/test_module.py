"""The compiled module: what it imports and exports, and that its bytes depend on nothing else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import compile as compile_step
import fetch_sqlite
from wasqlite.bridge.builder import wasm_sections
from wasqlite.bridge.builder.cache import sha256


@pytest.fixture(scope="module")
def module() -> bytes:
    return (compile_step.build_module() / "sqlite.wasm").read_bytes()


def test_exports_are_exactly_those_listed(root: Path, module: bytes) -> None:
    listed = wasm_sections.read_exports_list(root / "c-src" / "exports.txt")
    assert len(set(listed)) == len(listed)
    exports = {name for name, _ in wasm_sections.read_sections(module).exports}
    assert exports == {*listed, "memory"}


def test_imports_come_from_wasi_and_wasqlite_only(module: bytes) -> None:
    imports = wasm_sections.read_sections(module).imports
    assert {source for source, _, _ in imports} == {"wasi_snapshot_preview1", "wasqlite"}
    assert {kind for _, _, kind in imports} == {"func"}


def test_module_is_stripped_and_names_no_path_of_the_build_machine(root: Path, module: bytes) -> None:
    assert "name" not in wasm_sections.read_sections(module).custom
    assert not any(name.startswith(".debug") for name in wasm_sections.read_sections(module).custom)
    for path in (root, Path.home(), fetch_sqlite.fetch(), Path(sys.prefix)):
        if len(path.parts) > 1:
            assert os.fsencode(path) + b"/" not in module


def test_provenance_describes_the_module(root: Path, module: bytes) -> None:
    provenance = json.loads((root / "src" / "wasqlite" / "_wasm" / "provenance.json").read_text("utf-8"))
    assert provenance["module"] == {"sha256": sha256(module), "size": len(module)}
    assert provenance["sqlite"]["version"] == fetch_sqlite.SQLITE_VERSION
    assert provenance["sqlite"]["source_id"] == fetch_sqlite.SQLITE_SOURCE_ID
    assert provenance["compiler"]
    assert "-O2" in provenance["flags"]["compile"]


def test_the_memory_barrier_is_a_fence(module: bytes) -> None:
    # A function body of five bytes: no locals, atomic.fence, end. A compiler barrier alone would leave nothing.
    assert bytes.fromhex("05 00 fe0300 0b") in module


def test_not_wasm_is_an_error() -> None:
    with pytest.raises(ValueError, match="not a wasm module"):
        wasm_sections.read_sections(b"\x7fELF")


@pytest.mark.slow
def test_two_clean_builds_give_the_same_bytes(root: Path, tmp_path: Path) -> None:
    """Other directories, of other lengths, and nothing shared: not even the compiler's own cache."""
    amalgamation = fetch_sqlite.fetch()
    digests = []
    for name in ("a", "another/and/deeper"):
        tree = tmp_path / name / "tree"
        for folder in ("build", "c-src", "src"):
            shutil.copytree(root / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__", "_wasm"))
        environment = {
            **os.environ,
            "WASQLITE_CACHE_DIR": str(tmp_path / name / "cache"),
            "WASQLITE_SQLITE_DIR": str(amalgamation),
        }
        done = subprocess.run(
            [sys.executable, str(tree / "build" / "compile.py")],
            env=environment,
            cwd=tree,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        module = (tree / "src" / "wasqlite" / "_wasm" / "sqlite.wasm").read_bytes()
        assert done.stdout.strip() == sha256(module)
        digests.append(sha256(module))
    assert digests[0] == digests[1]
