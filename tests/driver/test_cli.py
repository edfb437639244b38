"""``python -m wasqlite`` beside ``python -m sqlite3``, which Python has from 3.12 on."""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

import wasqlite
from wasqlite import cli

Result = tuple[int, str, str]


def without_versions(code: object, out: str, err: str) -> Result:
    assert isinstance(code, int)
    version = re.compile(r"\b3\.\d+\.\d+\b")
    return code, version.sub("3.x.y", out), version.sub("3.x.y", err)


def run(arguments: list[str], typed: str, folder: Path) -> Result:
    """A process of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "wasqlite", *arguments],
        input=typed,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHON_COLORS": "0"},
        timeout=120,
    )
    return without_versions(result.returncode, result.stdout, result.stderr)


def call(main: Callable[[list[str]], object], arguments: list[str], typed: str) -> Result:
    """In this process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch("sys.stdin", io.StringIO(typed)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main(arguments)
    return without_versions(ended.value.code, out.getvalue(), err.getvalue())


# What is given on the command line, and what is typed.
SESSIONS: dict[str, list[tuple[list[str], str]]] = {
    "version": [(["-v"], ""), (["--version"], "")],
    "one_statement": [([":memory:", "select 1, 'ä', null, x'00', 1.5"], "")],
    "several_rows": [([":memory:", "select 1 union all select 2"], "")],
    "no_rows": [([":memory:", "create table t(a)"], "")],
    "error": [([":memory:", "sel"], ""), ([":memory:", "select * from nowhere"], "")],
    "two_statements": [([":memory:", "select 1; select 2"], "")],
    "empty_statement": [([":memory:", ""], "select 5;\n")],
    "file": [
        (["x.db", "create table t(a)"], ""),
        (["x.db", "insert into t values(1)"], ""),
        (["x.db"], "select * from t;\n"),
    ],
    "nothing_typed": [([], "")],
    "typed": [([], "select 1;\nselect 'two', 2;\n")],
    "typed_in_parts": [([], "select\n1\n;\nselect 2;\n"), ([], "select 1")],
    "typed_errors": [([], "sel;\nselect 1; select 2;\nselect * from nowhere;\nselect 3;\n")],
    "typed_trigger": [
        ([], "create table t(a);\ncreate trigger x after insert on t begin\nselect 1;\nend;\nselect 2;\n")
    ],
    "commands": [([], ".version\n.help\n.quit\nselect 1;\n")],
    "command_in_a_statement": [([], "select\n.version\n;\n")],
    "unknown_command": [([], ".tables\n;\nselect 1;\n"), ([], ". \n;\n"), ([], ".quit \n;\n")],
    "blank_lines": [([], "\n\n;\nselect 1;\n"), ([], "   \nselect 2;\n")],
    "transactions": [([], "begin;\nbegin;\ncommit;\n")],
    "constraint": [([], "create table t(a unique);\ninsert into t values(1);\ninsert into t values(1);\n")],
    "too_many_arguments": [(["a", "b", "c"], "")],
    "unknown_option": [(["--no-such-option"], "")],
}


@pytest.mark.skipif(sys.version_info < (3, 12), reason="python -m sqlite3 is not there")
@pytest.mark.parametrize("name", SESSIONS)
def test_same_as_the_stdlib(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqlite3.__main__ import main as native

    monkeypatch.setenv("PYTHON_COLORS", "0")
    seen = []
    for folder, main in (("native", native), ("ours", cli.main)):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        seen.append([call(main, arguments, typed) for arguments, typed in SESSIONS[name]])
    assert [(code, out, err.replace("-m wasqlite", "-m sqlite3")) for code, out, err in seen[1]] == seen[0]


def test_help_names_the_arguments() -> None:
    code, out, err = call(cli.main, ["-h"], "")
    assert (code, err) == (0, "")
    assert "usage: python -m wasqlite [-h] [-v] [filename] [sql]" in out


def test_statement_on_the_command_line(tmp_path: Path) -> None:
    found = run([":memory:", "select 1, 'a' union all select 2, 'b'"], "", tmp_path)
    assert found == (0, "(1, 'a')\n(2, 'b')\n", "")
    found = run([":memory:", "sel"], "", tmp_path)
    assert found == (1, "", 'OperationalError (SQLITE_ERROR): near "sel": syntax error\n')


def test_session(tmp_path: Path) -> None:
    code, out, err = run(["x.db"], "create table t(a);\nselect\ncount(*) from t;\n.version\n", tmp_path)
    assert (code, out) == (0, "sqlite> sqlite>     ... (0,)\nsqlite> 3.x.y\nsqlite> ")
    assert "Connected to 'x.db'" in err
    assert run(["x.db", "select count(*) from t"], "", tmp_path)[1] == "(0,)\n"


@pytest.mark.parametrize("blank", ["", "  ", "\t"])
def test_newer_pythons_do_not_wait_after_blank_lines(
    blank: str, monkeypatch: pytest.MonkeyPatch, con: wasqlite.Connection
) -> None:
    monkeypatch.setattr(cli, "CLI_UNKNOWN_COMMAND", 'Error: unknown command: "{}"')
    assert cli.SqliteInteractiveConsole(con).runsource(blank) is False


def test_newer_pythons_name_unknown_commands(
    monkeypatch: pytest.MonkeyPatch, con: wasqlite.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "CLI_UNKNOWN_COMMAND", 'Error: unknown command: "{}"')
    console = cli.SqliteInteractiveConsole(con)
    for line in (".tables x ", ".", ". version", ".version "):
        assert console.runsource(line) is False
    assert capsys.readouterr() == (f"{wasqlite.sqlite_version}\n" * 2, 'Error: unknown command: "tables x"\n')
    with pytest.raises(SystemExit):
        console.runsource(". quit ")
