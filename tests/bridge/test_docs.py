"""docs/bridge.md is run as it stands there: from an empty folder to a wheel that another environment calls."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from wasqlite import bridge
from wasqlite.bridge.builder.toolchain import ZIG_REQUIREMENT

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "bridge.md").read_text(encoding="utf-8")
TUTORIAL, REFERENCE = PAGE.split("## Reference\n")
FILES = re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```", TUTORIAL, re.DOTALL | re.MULTILINE)
COMMANDS = re.findall(r"^```sh\n(.*?)^```", TUTORIAL, re.DOTALL | re.MULTILINE)
PRINTED = re.findall(r"^```text\n(.*?)^```", TUTORIAL, re.DOTALL | re.MULTILINE)
EXAMPLES = re.findall(r"^```python\n(.*?)^```", REFERENCE, re.DOTALL | re.MULTILINE)


def test_the_reference_names_the_whole_interface() -> None:
    missing = [name for name in bridge.__all__ if f"`{name}" not in REFERENCE]
    assert missing == []


def test_the_policy_is_described_whole() -> None:
    table = REFERENCE[REFERENCE.index("| `Policy(...)`") :].partition("\n\n")[0]
    described = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert described == set(bridge.Policy.__dataclass_fields__)


def test_the_compiler_is_the_pinned_one() -> None:
    assert f" {ZIG_REQUIREMENT}\n" in COMMANDS[0]


def prepare(environment: Path, wheel: Path) -> None:
    """A virtual environment with wasqlite's wheel; what it needs comes from this one, so that no network is needed."""
    venv.create(environment, symlinks=True, with_pip=False)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run(install, check=True)
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty folder, with the environments that the tutorial makes there; its ``venv`` finds them."""
    pytest.importorskip("hatchling", reason="the dependency group `build` is not installed")
    if os.name == "nt":
        pytest.skip("the commands are a POSIX shell's")
    dist = tmp_path_factory.mktemp("wasqlite")
    options = ["--no-build-isolation", "--no-deps", "--quiet", "--wheel-dir", str(dist)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (wheel,) = dist.glob("*.whl")
    folder = tmp_path_factory.mktemp("tutorial")
    for name in (".venv", "other"):
        prepare(folder / name, wheel)
    yield folder


def run(folder: Path, *command: str) -> str:
    """What a command prints."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{inherited['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env={**inherited, "PATH": path, "PIP_NO_INDEX": "1"}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_tutorial_leads_to_a_wheel_that_works_elsewhere(folder: Path) -> None:
    for name, text in FILES:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    printed = [run(folder, "sh", "-e", "-c", commands) for commands in COMMANDS]
    built = {Path(line).name for line in printed[0].splitlines() if line.startswith(str(folder))}
    assert {"_tally.wasm", "_tally.types.json", "_tally.pyi", "_tally.provenance.json"} <= built
    assert "{'words': 6, 'longest': 3," in printed[1]
    (wheel,) = (folder / "dist").glob("*.whl")
    assert wheel.name == "tally-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("tally/_tally.wasm").startswith(b"\0asm")
    assert printed[3].endswith(PRINTED[0])
    where = "import tally, wasqlite; print(tally.__file__); print(wasqlite.__file__)"
    locations = run(folder, "other/bin/python", "-I", "-c", where).splitlines()
    assert all(Path(location).is_relative_to(folder / "other") for location in locations)

    program = "\n".join(EXAMPLES)
    expected = re.findall(r"# prints (.*)$", program, re.MULTILINE)
    assert run(folder, "other/bin/python", "-I", "-W", "error", "-c", program).splitlines() == expected
    assert len(expected) >= len(EXAMPLES)
