"""The list of expected failures is held in both directions, and a crash names the test that it was in."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

EXPECTED = """
[[group]]
reason = "a reason"
python = ["3.11"]
tests = ["t.fails", "t.is_gone"]
"""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The module ``run`` with a list of its own."""
    spec = importlib.util.spec_from_file_location("conformance_run", Path(__file__).with_name("run.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "expected.toml").write_text(EXPECTED)
    suite = module.SQLITE._replace(folder=tmp_path)
    monkeypatch.setattr(module, "judge", partial(module.judge, suite=suite))
    return module


def events(**kinds: str) -> list[dict[str, str]]:
    seen = []
    for test, kind in kinds.items():
        seen += [{"test": f"t.{test}", "event": event, "detail": ""} for event in ("start", kind, "stop")]
    return seen


def test_all_is_well_when_exactly_the_listed_ones_fail(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run.Outcome(events(fails="failure", is_gone="failure", works="success", other="skip"))
    assert run.judge("3.11", outcome, False)
    assert "4 tests run, 1 passed, 1 skipped, 2 failed as expected, 0 failed unexpectedly" in capsys.readouterr().out


def test_an_unlisted_failure_fails_the_run(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run.judge("3.11", run.Outcome(events(fails="failure", is_gone="failure", works="failure")), False)
    assert "FAILED, not in expected.toml: t.works" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["success", "skip"])
def test_a_listed_test_that_does_not_fail_fails_the_run(
    run: ModuleType, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert not run.judge("3.11", run.Outcome(events(fails=kind, is_gone="failure")), False)
    assert f"in expected.toml, but {kind}: t.fails (a reason)" in capsys.readouterr().out


def test_a_listed_test_that_is_not_there_fails_the_run(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert not run.judge("3.11", run.Outcome(events(fails="failure")), False)
    assert "in expected.toml, but not there: t.is_gone" in capsys.readouterr().out


def test_the_list_is_per_version(run: ModuleType) -> None:
    assert run.judge("3.12", run.Outcome(events(fails="success")), False)


def test_a_failure_is_not_forgotten_when_a_subtest_passes_later(run: ModuleType) -> None:
    seen = [{"test": "t.x", "event": event, "detail": event} for event in ("start", "failure", "success", "stop")]
    assert run.Outcome(seen).names("failure") == {"t.x"}


def test_the_running_test_is_known_after_a_crash(run: ModuleType) -> None:
    assert run.Outcome(events(a="success") + events(b="success")[:1]).running == "t.b"


def test_a_hang_is_ended_and_reported(
    run: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "SECONDS", 0)
    monkeypatch.setattr(run, "HERE", Path(__file__).parent)
    assert not run.conforms("3.11", Path(sys.executable), ["test_backup"])
    assert "the tests' process did not end within 0 s" in capsys.readouterr().out
