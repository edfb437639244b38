"""The cache of compiled modules: fast, and never a way in for somebody else's code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wasqlite.bridge import Library, LoadError, cache, selftest
from wasqlite.bridge import engine as engine_module

WAT = '(module (func (export "answer") (result i32) (i32.const 42)))'
LOAD = f"""
from wasqlite.bridge import Library
print(Library.from_wat('''{WAT}''').open().function("answer")())
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("WASQLITE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "compiled"


@pytest.fixture
def compiled(monkeypatch):
    """The wasm sizes that were compiled, not taken from the cache."""
    done = []
    api = engine_module.engine().api
    compile_ = api.compile
    monkeypatch.setattr(api, "compile", lambda engine, wasm: done.append(len(wasm)) or compile_(engine, wasm))
    return done


def answer():
    with Library.from_wat(WAT).open() as instance:
        return instance.function("answer")()


def files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def test_the_second_load_compiles_nothing(folder, compiled):
    assert answer() == 42
    assert len(compiled) >= 1
    compiled.clear()
    assert answer() == 42
    assert compiled == []
    assert all(path.suffix == ".cwasm" for path in files(folder))


def test_only_the_owner_may_write_the_files(folder):
    answer()
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in files(folder))


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "extend"])
def test_a_damaged_file_is_never_loaded(folder, compiled, damage):
    answer()
    compiled.clear()
    for path in files(folder):
        content = bytearray(path.read_bytes())
        if damage == "flip":
            content[len(content) // 2] ^= 1
        elif damage == "truncate":
            del content[-10:]
        elif damage == "empty":
            content.clear()
        else:
            content += b"\0"
        # Another file in its place: the old one is still mapped here, and the next C++ exception of any library in this
        # process looks for its handler there.
        path.unlink()
        path.write_bytes(content)
        path.chmod(0o600)
    assert answer() == 42
    assert compiled  # compiled anew
    compiled.clear()
    assert answer() == 42
    assert not compiled  # and the cache was mended


def test_a_file_that_others_may_write_is_not_loaded(folder, compiled):
    answer()
    compiled.clear()
    for path in files(folder):
        path.chmod(0o666)
    assert answer() == 42
    assert compiled


def test_a_folder_that_others_may_write_is_not_used(folder, compiled):
    answer()
    before = files(folder)
    folder.chmod(0o777)
    compiled.clear()
    assert answer() == 42
    assert compiled
    assert files(folder) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_file_of_another_owner_is_not_loaded(folder, compiled):
    answer()
    compiled.clear()
    for path in files(folder):
        os.chown(path, 12345, -1)
    assert answer() == 42
    assert compiled


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_of_another_owner_is_not_used(folder, compiled):
    answer()
    os.chown(folder, 12345, -1)
    compiled.clear()
    assert answer() == 42
    assert compiled


def test_a_symbolic_link_is_not_followed(folder, compiled, tmp_path):
    answer()
    compiled.clear()
    for path in files(folder):
        target = tmp_path / path.name
        path.rename(target)
        path.symlink_to(target)
    assert answer() == 42
    assert compiled


@pytest.mark.parametrize("where", ["a file is in the way", "nobody may write", "no folder is known"])
def test_a_cache_that_cannot_be_written_is_no_error(tmp_path, monkeypatch, compiled, where):
    if where == "a file is in the way":
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("WASQLITE_CACHE_DIR", str(tmp_path / "file"))
    elif where == "nobody may write":
        monkeypatch.setenv("WASQLITE_CACHE_DIR", "/proc/wasqlite")  # not even root
    else:
        monkeypatch.setattr(cache, "directory", lambda: None)
    assert answer() == 42
    assert compiled


def test_an_artifact_of_another_runtime_is_compiled_anew(folder, compiled):
    answer()
    # Right digest, right owner, but not what wasmtime made: the runtime itself refuses it.
    for path in files(folder):
        key = path.name[:32]
        path.unlink()
        for number in range(5):
            assert cache.store(folder, key, b"not an artifact, %d" % number) is not None
    compiled.clear()
    assert answer() == 42
    assert compiled
    compiled.clear()
    assert answer() == 42
    assert compiled == []


def test_the_key_follows_the_wasm(folder, compiled):
    answer()
    compiled.clear()
    wat = WAT.replace("42", "43")
    assert Library.from_wat(wat).open().function("answer")() == 43
    assert len(compiled) == 1


def test_racing_processes_all_succeed(folder):
    environment = {**os.environ, "WASQLITE_CACHE_DIR": str(folder.parent)}
    racers = [
        subprocess.Popen([sys.executable, "-c", LOAD], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    assert [racer.communicate(timeout=60)[0].strip() for racer in racers] == ["42"] * 6
    assert not [path for path in files(folder) if path.name.startswith(".new-")]


def test_a_wasmtime_that_fails_the_self_test_fails_it_each_time(folder, monkeypatch):
    monkeypatch.setattr(selftest, "_begun", False)
    monkeypatch.setattr(selftest, "_WAT", selftest._WAT.replace("4096", "4095"))
    for _ in range(2):
        with pytest.raises(LoadError, match="failed wasqlite's self-test"):
            answer()
    own = files(folder)
    monkeypatch.undo()
    monkeypatch.setenv("WASQLITE_CACHE_DIR", str(folder.parent))
    assert answer() == 42
    assert len(files(folder)) > len(own)  # nothing was kept for the next process, which would not test again


def test_what_was_begun_and_left_counts_and_is_removed(folder, monkeypatch):
    folder.mkdir(parents=True, mode=0o700)
    left = folder / ".new-1-00"
    left.write_bytes(b"half")
    os.utime(left, (1, 1))
    monkeypatch.setattr(cache, "MOST_FILES", 1)
    assert answer() == 42
    assert not left.exists()


def test_what_was_not_used_for_longest_is_removed(folder, monkeypatch):
    for age, key in enumerate("abcde"):
        path = cache.store(str(folder), key * 32, b"x")
        os.utime(path, (1e9 - age, 5e8))  # read so long ago
    monkeypatch.setattr(cache, "MOST_FILES", 4)
    cache.store(str(folder), "f" * 32, b"x")
    assert [path.name[0] for path in files(folder)] == ["a", "b", "c", "f"]
    monkeypatch.setattr(cache, "MOST_BYTES", 102)
    cache.store(str(folder), "g" * 32, b"x" * 100)
    assert [path.name[0] for path in files(folder)] == ["a", "f", "g"]
