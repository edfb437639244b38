"""What is compiled again and what is not, the compiler's messages, and the same bytes everywhere."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from wasqlite.bridge import Library
from wasqlite.bridge.builder import BuildError, units
from wasqlite.bridge.builder.toolchain import find_toolchain
from wasqlite.bridge.builder.units import KEPT_OBJECTS, Units, compile_units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Project


@pytest.fixture
def two(project: Project) -> Project:
    """Two units, of which one includes a header."""
    project.write("include/one.h", '#include "inner.h"\nint one(void);\n').write("include/inner.h", "#define ONE 1\n")
    project.write("c/one.c", "#include <one.h>\nint one(void) { return ONE; }\nconst char *file = __FILE__;\n")
    project.write("c/two.c", "int two(void);\nint two(void) { return 2; }\n")
    return project.configure(
        'sources = ["c/*.c"]\ninclude = ["include"]\nheaders = ["one.h"]\n'
        'declarations = "int two(void); extern const char *file;"'
    )


def compiled(two: Project, capfd: pytest.CaptureFixture[str]) -> set[str]:
    """Build, and return what was compiled and linked."""
    capfd.readouterr()
    two.build()
    lines = capfd.readouterr().err.splitlines()
    starts = [line.removeprefix("wasqlite build: ") for line in lines if line.endswith(" ...")]
    return {line.removesuffix(" ...").removeprefix("compile ") for line in starts}


def test_only_what_changed_is_compiled_again(two: Project, capfd: pytest.CaptureFixture[str]) -> None:
    # Something that no other run had in its cache.
    two.write("c/two.c", f"int two(void);\nint two(void) {{ return 2; }} /* {two.folder} */\n")
    two.write("include/inner.h", f"#define ONE 1 /* {two.folder} */\n")
    assert compiled(two, capfd) == {"one.c", "two.c", "link"}
    assert compiled(two, capfd) == set()
    two.write("include/inner.h", f"#define ONE 3 /* {two.folder} */\n")
    assert compiled(two, capfd) == {"one.c", "link"}
    two.configure((two.folder / "pyproject.toml").read_text().partition("bridge]\n")[2] + "constants = ['ONE']")
    assert compiled(two, capfd) == {"link"}


def test_a_header_that_only_the_declarations_include_is_looked_at(two: Project) -> None:
    two.write("c/two.h", "#define TWO 2\nint two(void);\n")
    two.configure(
        'sources = ["c/*.c"]\ninclude = ["include"]\nconstants = ["TWO"]\n'
        'declarations = """\n#include "c/two.h"\nint two(void);\n"""'
    )
    assert two.table()["constants"] == {"TWO": 2}
    two.write("c/two.h", "#define TWO 3\nint two(void);\n")
    assert two.table()["constants"] == {"TWO": 3}


@pytest.mark.parametrize("content", [b"", b"\0asm damaged", None])
@pytest.mark.parametrize("suffix", ["wasm", "types.json", "provenance.json"])
def test_a_damaged_or_missing_output_is_made_again(two: Project, suffix: str, content: bytes | None) -> None:
    two.build()
    file = two.folder / f"point.{suffix}"
    whole = file.read_bytes()
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    two.build()
    assert file.read_bytes() == whole


def test_another_folder_gives_the_same_bytes(
    two: Project, tmp_path: Path, make_project: Callable[[Path], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = two.build()
    cache = Path(shutil.copytree(two.folder, tmp_path / "elsewhere" / "and deeper" / "project"))
    for path in cache.glob("point.*"):
        path.unlink()
    # Not from cached objects.
    monkeypatch.setattr("wasqlite.bridge.builder.units.Units.cached", lambda self, source, _: tmp_path / source.name)
    second = make_project(cache).build()
    assert [path.read_bytes() for path in first.files()] == [path.read_bytes() for path in second.files()]
    assert b"point/c/one.c\0" in first.wasm.read_bytes()
    assert bytes(tmp_path) not in first.wasm.read_bytes()


def test_provenance_tells_compiler_flags_and_digests_and_no_path(two: Project) -> None:
    outputs = two.build()
    text = outputs.provenance.read_text()
    provenance = json.loads(text)
    assert "ziglang " in provenance["compiler"] or "clang version " in provenance["compiler"]
    assert "-O2" in provenance["flags"]["compile"]
    assert set(provenance["sources"]) == {
        "point/c/one.c",
        "point/c/two.c",
        "point/include/one.h",
        "point/include/inner.h",
    }
    assert provenance["module"]["size"] == outputs.wasm.stat().st_size
    assert str(two.folder) not in text


def test_all_errors_of_all_files_appear_in_the_order_of_the_files(
    two: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    two.write("c/one.c", "".join(f"int broken_{i} = missing_{i};\n" for i in range(30)))
    two.write("c/two.c", "int two(void) { return also_missing; }\n")
    with pytest.raises(BuildError, match=r"compiling one\.c, two\.c failed"):
        two.build()
    errors = [line for line in capfd.readouterr().err.splitlines() if "error:" in line]
    assert len(errors) == 31
    assert [f"missing_{i}'" in errors[i] for i in range(30)] == [True] * 30
    assert "two.c:1:24: error" in errors[30]
    assert not list(two.folder.glob("point.*"))


def test_an_error_in_the_declarations_shows_the_line(two: Project, capfd: pytest.CaptureFixture[str]) -> None:
    two.configure(
        'sources = ["c/*.c"]\ninclude = ["include"]\ndeclarations = """\nint two(void);\nint x(nothing y);\n"""'
    )
    with pytest.raises(BuildError, match="the declarations cannot be compiled"):
        two.build()
    error = capfd.readouterr().err
    assert "declarations.h:2:7: error: unknown type name 'nothing'" in error
    assert error.count("unknown type name") == 1


def test_warnings_are_shown_and_do_not_stop_the_build(two: Project, capfd: pytest.CaptureFixture[str]) -> None:
    two.write("c/two.c", f"int two(void);\nint two(void) {{ int unused_{id(two)}; return 2; }}\n")
    two.configure(
        'sources = ["c/*.c"]\ninclude = ["include"]\nflags = ["-Wall"]\ndeclarations = "int one(void);int two(void);"'
    )
    two.build()
    assert "warning: unused variable" in capfd.readouterr().err


def test_the_stack_has_the_configured_size(two: Project) -> None:
    table = (two.folder / "pyproject.toml").read_text().partition("bridge]\n")[2]
    for size in (1 << 20, 4096):
        two.configure(f"{table}stack = {size}")
        assert Library.load(two.build().wasm).open().stack_pointer() == size


def test_sources_with_the_same_name_do_not_collide(project: Project) -> None:
    for folder in ("a", "b", "a/b"):
        name = folder.replace("/", "")
        project.write(f"{folder}/same.c", f"int from_{name}(void) {{ return 1; }}\n")
    project.configure('sources = ["**/*.c"]\ndeclarations = "int from_a(void), from_b(void), from_ab(void);"')
    assert list(project.table()["functions"]) == ["from_a", "from_ab", "from_b"]


def test_objects_are_told_apart_where_case_makes_no_difference() -> None:
    sources = [Path(path) for path in ("a/same.c", "a/Same.c", "b/SAME.c", "c/Same.c")]
    names = units._object_names(Units(()), sources)
    assert len({name.lower() for name in names}) == len(sources)


def test_headers_beside_the_project_are_told_apart(project: Project) -> None:
    for folder, value in (("one", 1), ("two", 2)):
        project.write(f"../{folder}/config.h", f"#define {folder.upper()} {value}\n")
    project.write("c/sum.h", "#include <one/config.h>\n#include <two/config.h>\nint sum(void);\n")
    project.write("c/sum.c", '#include "sum.h"\nint sum(void) { return ONE * 10 + TWO; }\n')
    project.configure('sources = ["c/*.c"]\ninclude = [".."]\nheaders = ["c/sum.h"]')
    assert Library.load(project.build().wasm).open().lib.sum() == 12
    for folder in ("one", "two"):
        project.write(f"../{folder}/config.h", f"#define {folder.upper()} 7\n")
        wanted = {"one": 72, "two": 77}[folder]
        assert Library.load(project.build().wasm).open().lib.sum() == wanted
    names = json.loads(project.build().provenance.read_bytes())["sources"]
    assert set(names) == {"point/c/sum.c", "point/c/sum.h", "point/../one/config.h", "point/../two/config.h"}


def test_embedded_files_are_looked_at(project: Project) -> None:
    project.write("c/data.txt", "A").write("c/one.h", "int one(void);\n")
    project.write("c/one.c", 'int one(void) { static const char data[] = {\n#embed "data.txt"\n}; return data[0]; }\n')
    project.configure('sources = ["c/*.c"]\nheaders = ["c/one.h"]\nflags = ["-Wno-c23-extensions"]')
    for text in "AB":
        project.write("c/data.txt", text)
        assert Library.load(project.build().wasm).open().lib.one() == ord(text)


def test_objects_that_are_wanted_are_not_pruned(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "cache_directory", lambda: tmp_path)
    for name in ("one", "two"):
        project.write(f"{name}.c", f"int {name}(void) {{ return 1; }}\n")
    sources = [project.folder / "one.c", project.folder / "two.c"]
    toolchain = find_toolchain()
    for path in compile_units(Units(()), sources, toolchain).values():
        os.utime(path, (0, 0))
    for number in range(KEPT_OBJECTS):
        (tmp_path / "objects" / f"{number}.o").write_bytes(b"")
    project.write("two.c", "int two(void) { return 2; }\n")
    assert all(path.stat().st_size for path in compile_units(Units(()), sources, toolchain).values())
    assert len(list((tmp_path / "objects").iterdir())) == KEPT_OBJECTS
    monkeypatch.setattr(units, "KEPT_OBJECTS", 1)
    assert all(path.stat().st_size for path in compile_units(Units(()), sources, toolchain).values())
