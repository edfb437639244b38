"""Packaging: a universal wheel with the module inside, also by way of a source distribution."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling", reason="the dependency group `build` is not installed")
pytestmark = pytest.mark.slow

MODULE = "wasqlite/_wasm/sqlite.wasm"
PROVENANCE = "wasqlite/_wasm/provenance.json"
# What a clean clone holds (of what the build looks at).
CLONED = ("src", "c-src", "build", "pyproject.toml", "LICENSE", "README.md", "Makefile", ".gitignore")


def clone(root: Path, target: Path) -> Path:
    """Copy the source tree without anything that a build made."""
    target.mkdir(parents=True)
    ignore = shutil.ignore_patterns("_wasm", "__pycache__")
    for name in CLONED:
        if (root / name).is_dir():
            shutil.copytree(root / name, target / name, ignore=ignore)
        elif (root / name).is_file():
            shutil.copyfile(root / name, target / name)
    return target


def build_wheel(tree: Path, output: Path) -> Path:
    """Build a wheel through pip, with the build requirements of this environment (so without a network)."""
    options = ["--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--quiet"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(output), str(tree)], check=True)
    (wheel,) = output.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(__file__).resolve().parents[2]
    return clone(root, tmp_path_factory.mktemp("clone") / "tree")


@pytest.fixture(scope="module")
def sdist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("sdist")
    subprocess.run([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(output)], cwd=tree, check=True)
    (archive,) = output.glob("*.tar.gz")
    return archive


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tree, tmp_path_factory.mktemp("wheel"))


def test_wheel_is_universal_and_holds_the_module(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert {MODULE, PROVENANCE, "wasqlite/py.typed"} <= names
        assert archive.read(MODULE).startswith(b"\0asm")
        tags = next(name for name in names if name.endswith(".dist-info/WHEEL"))
        assert b"Root-Is-Purelib: true" in archive.read(tags)
    folders = {name.partition("/")[0] for name in names}
    assert folders == {"wasqlite", tags.partition("/")[0]}
    # Of C only what the bridge's builder adds to other libraries.
    runtime = "wasqlite/bridge/builder/runtime/"
    assert all(name.startswith(runtime) for name in names if name.endswith((".c", ".h")))
    assert f"{runtime}setjmp.c" in names


def test_source_distribution_holds_sources_only(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "c-src/exports.txt", "c-src/sqlite.c", "build/compile.py"} <= names
    assert not any(name.endswith((".wasm", "sqlite3.c", "sqlite3.h", "provenance.json")) for name in names)


def test_wheel_from_source_distribution_is_the_same(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (tree,) = (path for path in tmp_path.iterdir() if path.is_dir())
    other = build_wheel(tree, tmp_path / "wheel")
    assert other.name == wheel.name
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(other) as two:
        assert one.namelist() == two.namelist()
        assert all(one.read(name) == two.read(name) for name in one.namelist())


def test_installed_wheel_works_from_another_folder(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, symlinks=os.name == "posix", with_pip=False)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)],
        check=True,
    )
    # The dependencies come from this environment, so that no network is needed; the wheel comes first.
    (site,) = environment.glob("Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    program = """
import json, pathlib, wasqlite as sqlite3
with sqlite3.connect("x.db") as connection:
    connection.execute("create table t(a)")
    connection.execute("insert into t values (42)")
row = connection.execute("select a, sqlite_version() from t").fetchone()
connection.close()
print(json.dumps([str(pathlib.Path(sqlite3.__file__).resolve()), *row]))
"""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [python, "-c", program], cwd=folder, env=inherited, stdout=subprocess.PIPE, text=True, check=True
    )
    location, value, version = json.loads(done.stdout)
    assert Path(location).is_relative_to(environment.resolve())
    assert (value, version) == (42, "3.54.1")
    assert (folder / "x.db").is_file()
