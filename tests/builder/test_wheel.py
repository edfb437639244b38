"""A project of somebody else: C code, four lines of Python, a wheel for every platform."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("hatchling", reason="the dependency group `build` is not installed")
pytestmark = pytest.mark.slow

PYPROJECT = """
[build-system]
requires = ["hatchling", "wasqlite"]
build-backend = "hatchling.build"

[project]
name = "wheel-of-points"
version = "1.0"
dependencies = ["wasqlite"]

[tool.hatch.build.hooks.wasqlite-bridge]

[tool.hatch.build.targets.wheel]
packages = ["points"]

[tool.wasqlite-bridge]
name = "points"
output = "points"
sources = ["c/points.c"]
headers = ["c/points.h"]
constants = ["POINTS_*"]
"""
HEADER = """
#define POINTS_VERSION 3
struct point { int x, y; };
int points_add(int a, int b);
"""
SOURCE = """
#include "points.h"
int points_add(int a, int b) { return a + b; }
"""
PACKAGE = """
from pathlib import Path
from wasqlite.bridge import Library

library = Library.load(Path(__file__).parent / "points.wasm")
guest = library.open()
add = guest.function("points_add")
"""


def write_project(make_project: Callable[..., Any], folder: Path) -> Any:
    project = make_project(folder)
    project.write("pyproject.toml", PYPROJECT).write(".gitignore", "*.wasm\n*.json\n*.pyi\n")
    project.write("c/points.h", HEADER).write("c/points.c", SOURCE).write("points/__init__.py", PACKAGE)
    return project


def build_wheel(folder: Path, output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build through pip, with the build requirements of this environment (so without a network)."""
    options = ["--no-build-isolation", "--no-deps", "--disable-pip-version-check", "--wheel-dir", str(output)]
    return subprocess.run(
        [sys.executable, "-m", "pip", "wheel", *options, str(folder)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, make_project: Callable[..., Any]) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = build_wheel(write_project(make_project, folder / "project").folder, folder / "dist")
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = (folder / "dist").glob("*.whl")
    return path


def test_the_wheel_is_universal_and_holds_what_was_built(wheel: Path) -> None:
    assert wheel.name == "wheel_of_points-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        assert {f"points/points.{suffix}" for suffix in ("wasm", "types.json", "pyi", "provenance.json")} <= names
        assert not any(name.endswith((".c", ".h")) for name in names)
        assert archive.read("points/points.wasm").startswith(b"\0asm")
        table = json.loads(archive.read("points/points.types.json"))
        assert table["constants"] == {"POINTS_VERSION": 3}
        assert list(table["functions"]) == ["points_add"]


def test_a_wheel_from_another_folder_and_cache_has_the_same_files(
    wheel: Path, tmp_path: Path, make_project: Callable[..., Any]
) -> None:
    project = write_project(make_project, tmp_path / "quite" / "another" / "project")
    # Objects are compiled again; what takes a minute, the C library, is not.
    cache = Path(os.environ.get("WASQLITE_CACHE_DIR") or _user_cache()) / "build"
    private = tmp_path / "cache" / "build"
    private.mkdir(parents=True)
    for library in cache.glob("zig-*-wasi-libc"):
        (private / library.name).symlink_to(library)
    done = build_wheel(project.folder, tmp_path / "dist", WASQLITE_CACHE_DIR=str(tmp_path / "cache"))
    assert done.returncode == 0, done.stdout + done.stderr
    (other,) = (tmp_path / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(other) as two:
        assert one.namelist() == two.namelist()
        assert all(one.read(name) == two.read(name) for name in one.namelist())


def _user_cache() -> str:
    import platformdirs

    return platformdirs.user_cache_dir("wasqlite", appauthor=False)


def test_the_installed_wheel_calls_c(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    venv.create(environment, symlinks=os.name == "posix", with_pip=False)
    scripts = environment / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / ("python.exe" if os.name == "nt" else "python")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    # wasqlite comes from this environment, so that no network is needed.
    (site,) = environment.glob("Lib/site-packages" if os.name == "nt" else "lib/python*/site-packages")
    root = Path(__file__).resolve().parents[2] / "src"
    (site / "dependencies.pth").write_text(f"{root}\n{sysconfig.get_path('purelib')}\n")
    done = subprocess.run(
        [python, "-c", "import points; print(points.__file__, points.add(40, 2))"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    location, result = done.stdout.split()
    assert Path(location).is_relative_to(environment)
    assert result == "42"


def test_a_compiler_error_reaches_the_user_whole(tmp_path: Path, make_project: Callable[..., Any]) -> None:
    project = write_project(make_project, tmp_path / "project")
    project.write("c/points.c", SOURCE.replace("a + b", "a + undeclared"))
    done = build_wheel(project.folder, tmp_path / "dist")
    assert done.returncode != 0
    output = done.stdout + done.stderr
    assert "points.c:3:43: error: use of undeclared identifier 'undeclared'" in output
    assert "wasqlite build: error: compiling points.c failed" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(("table", "wanted"), [("", 1), ('[tool.wasqlite-bridge.fetch.x]\npypi = "x==1"\n', 2)])
def test_the_hook_asks_for_the_compiler_and_for_what_fetches(
    tmp_path: Path, make_project: Callable[..., Any], table: str, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wasqlite.bridge.builder.hatch import BridgeBuildHook
    from wasqlite.bridge.builder.toolchain import ZIG_REQUIREMENT

    monkeypatch.delenv("WASI_SDK_PATH", raising=False)
    project = write_project(make_project, tmp_path)
    digest = f'sha256 = "{"0" * 64}"\n' if table else ""
    project.write("pyproject.toml", PYPROJECT + table + digest)
    hook = BridgeBuildHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel")
    assert hook.dependencies() == [ZIG_REQUIREMENT, "pip"][:wanted]
    sdist = BridgeBuildHook(str(tmp_path), {}, None, None, str(tmp_path), "sdist")
    assert sdist.dependencies() == []
    sdist.initialize("standard", {})
    assert not list(tmp_path.rglob("*.wasm"))


def test_an_error_in_the_configuration_is_one_line(tmp_path: Path, make_project: Callable[..., Any]) -> None:
    from wasqlite.bridge.builder.hatch import BridgeBuildHook

    project = write_project(make_project, tmp_path)
    project.write("pyproject.toml", PYPROJECT + "source = []\n")
    hook = BridgeBuildHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel")
    with pytest.raises(SystemExit, match="unknown key 'source'"):
        hook.dependencies()


@pytest.mark.parametrize("output", ["../elsewhere", "points/../../elsewhere", "/"])
def test_what_is_made_outside_of_the_project_is_refused(
    tmp_path: Path, make_project: Callable[..., Any], output: str
) -> None:
    from wasqlite.bridge.builder.hatch import BridgeBuildHook

    project = write_project(make_project, tmp_path / "project")
    output = str(tmp_path / "elsewhere") if output == "/" else output
    project.write("pyproject.toml", PYPROJECT.replace('output = "points"', f'output = "{output}"'))
    hook = BridgeBuildHook(str(project.folder), {}, None, None, str(tmp_path), "wheel")
    with pytest.raises(SystemExit, match=r"the wheel takes only what is in the project: output is .*elsewhere"):
        hook.initialize("standard", {"artifacts": []})
