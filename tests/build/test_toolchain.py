"""Choosing the compiler, and the hook that asks for it."""

from __future__ import annotations

import importlib.util
import tomllib
from pathlib import Path

import pytest

from wasqlite.bridge.builder import report, toolchain
from wasqlite.bridge.builder.report import BuildError


def test_zig_is_pinned_alike_everywhere(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    assert toolchain.ZIG_REQUIREMENT in project["dependency-groups"]["build"]
    for requirement in project["build-system"]["requires"]:
        assert requirement in project["dependency-groups"]["build"]


def test_without_a_compiler_the_error_names_both_ways(private_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BuildError, match=r"pip install ziglang==.*WASI_SDK_PATH") as caught:
        toolchain.find_toolchain()
    assert "\n" not in str(caught.value)


def test_a_wrong_wasi_sdk_path_names_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WASI_SDK_PATH", str(tmp_path))
    with pytest.raises(BuildError, match="not a wasi-sdk"):
        toolchain.find_toolchain()


def test_zig_is_required_only_without_a_wasi_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WASI_SDK_PATH", raising=False)
    assert toolchain.build_requirements() == [toolchain.ZIG_REQUIREMENT]
    monkeypatch.setenv("WASI_SDK_PATH", "somewhere")
    assert toolchain.build_requirements() == []


def test_old_python_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BuildError, match=r"Python 3\.10\.1 is too old"):
        report.check_python((3, 10, 1))


def test_hook_error_is_one_line_without_traceback(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hatchling")
    import hatch_build

    def fail(root: Path) -> Path:
        raise BuildError("no compiler: do this")

    monkeypatch.setattr(hatch_build, "build_module", fail)
    hook = hatch_build.WasmBuildHook(str(root), {}, None, None, str(root), "wheel")
    with pytest.raises(SystemExit) as caught:
        hook.initialize("standard", {})
    assert caught.value.code == "wasqlite build: error: no compiler: do this"


def test_source_distribution_needs_no_compiler(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("hatchling")
    import hatch_build

    monkeypatch.delenv("WASI_SDK_PATH", raising=False)
    sdist = hatch_build.WasmBuildHook(str(root), {}, None, None, str(root), "sdist")
    wheel = hatch_build.WasmBuildHook(str(root), {}, None, None, str(root), "wheel")
    assert sdist.dependencies() == []
    assert wheel.dependencies() == [toolchain.ZIG_REQUIREMENT]
    sdist.initialize("standard", {})
