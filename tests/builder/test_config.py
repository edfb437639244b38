"""The configuration: what is possible, and errors that name the key and what is possible."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wasqlite.bridge.builder import BuildError, parse_configuration, read_configuration

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from conftest import Project

LEAST: dict[str, Any] = {"name": "point", "sources": ["*.c"], "headers": ["point.h"]}
SOURCE = "int add(int a, int b) { return a + b; }\n"


def parse(tmp_path: Path, **changed: Any) -> Any:
    return parse_configuration(tmp_path, {**LEAST, **changed})


def test_an_unknown_key_is_named_with_those_that_are_possible(tmp_path: Path) -> None:
    with pytest.raises(
        BuildError, match=r"unknown key 'source'; possible are: name, sources, output, include"
    ) as caught:
        parse(tmp_path, source=["a.c"])
    assert "[tool.wasqlite-bridge]" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"sources": "a.c"}, "sources must be a list of strings, not 'a.c'"),
        ({"sources": [1]}, "sources must be a list of strings"),
        ({"sources": []}, "sources is missing"),
        ({"stack": "1 MiB"}, "stack must be a number, not '1 MiB'"),
        ({"stack": True}, "stack must be a number"),
        ({"stack": 1000}, "a multiple of 16"),
        ({"declarations": ["int f(void);"]}, "declarations must be a string"),
        ({"features": ["sjlj"]}, "features: there is no 'sjlj'; there is: setjmp"),
        ({"defines": ["1X"]}, "defines: '1X' is neither"),
        ({"defines": {"X": False}}, "defines: X must be true, a number or a string"),
        ({"name": "my-point"}, "is no name of a module"),
        ({"headers": []}, "name what Python may call"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, table: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        parse(tmp_path, **table)


def test_the_name_is_the_projects_by_default(tmp_path: Path) -> None:
    table = {key: value for key, value in LEAST.items() if key != "name"}
    assert parse_configuration(tmp_path, table, default_name="my-point.x").name == "my_point_x"


def test_defines_are_a_list_or_a_table(tmp_path: Path) -> None:
    assert parse(tmp_path, defines=["NDEBUG", "X=1"]).defines == ("NDEBUG", "X=1")
    assert parse(tmp_path, defines={"NDEBUG": True, "X": 1, "S": '"s"'}).defines == ("NDEBUG", "X=1", 'S="s"')


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('sources = ["x/*.c"]\nheaders = ["add.h"]', r"sources: 'x/\*.c' fits no file"),
        ('sources = ["/x/add.c"]\nheaders = ["add.h"]', "sources: '/x/add.c' is no pattern of paths in a folder"),
        ('sources = [""]\nheaders = ["add.h"]', "sources: '' is no pattern of paths in a folder"),
        ('sources = ["add.c"]\nheaders = ["x.h"]', "headers: there is no 'x.h'"),
        ('sources = ["add.c"]\nheaders = ["add.h"]\ninclude = ["x"]', "include: there is no folder 'x'"),
        ('sources = ["{lua}/*.c"]\nheaders = ["add.h"]', r"no table \[tool.wasqlite-bridge.fetch.lua\]"),
    ],
)
def test_what_is_not_there_is_named(project: Project, table: str, message: str) -> None:
    project.write("add.c", SOURCE).write("add.h", "int add(int a, int b);").configure(table)
    with pytest.raises(BuildError, match=message):
        project.build()


def test_a_project_without_the_table_is_an_error(project: Project) -> None:
    with pytest.raises(BuildError, match=r"cannot read .*pyproject\.toml"):
        read_configuration(project.folder)
    project.write("pyproject.toml", "[project]\nname = 'x'\n")
    with pytest.raises(BuildError, match=r"has no table \[tool\.wasqlite-bridge\]"):
        read_configuration(project.folder)
    project.write("pyproject.toml", "[project\n")
    with pytest.raises(BuildError, match=r"pyproject\.toml"):
        read_configuration(project.folder)


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "wasqlite.bridge", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_command_prints_what_it_made_and_then_has_nothing_to_do(project: Project) -> None:
    project.write("add.c", SOURCE).write("add.h", "int add(int a, int b);")
    project.configure('sources = ["add.c"]\nheaders = ["add.h"]')
    done = run("build", cwd=project.folder)
    assert done.returncode == 0, done.stderr
    made = [Path(line).name for line in done.stdout.splitlines()]
    assert {"point.wasm", "point.types.json", "point.provenance.json"} <= set(made)
    again = run("build", str(project.folder), cwd=project.folder.parent)
    assert [Path(line).name for line in again.stdout.splitlines()] == made
    assert again.stderr == ""


def test_errors_of_the_command_are_one_line(project: Project) -> None:
    project.configure('source = ["add.c"]')
    done = run("build", cwd=project.folder)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("wasqlite build: error: [tool.wasqlite-bridge] unknown key 'source'")


BLOCKED = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("wasmtime", "platformdirs", "hatchling"):
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocker())
import wasqlite.bridge.builder.command, wasqlite.bridge.builder.table
print(sorted({"wasmtime", "platformdirs", "hatchling", "ctypes"} & set(sys.modules)))
"""


def test_the_builder_needs_no_other_package_to_be_imported() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=True)
    assert not {"wasmtime", "platformdirs", "hatchling"} & set(done.stdout.split("'"))
