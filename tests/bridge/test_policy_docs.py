"""What docs/policy.md shows is run as it stands there, and prints what it says."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path.append(str(TESTS))
from guests import compiled  # noqa: E402

from wasqlite.bridge import Policy  # noqa: E402

PAGE = (TESTS.parent / "docs" / "policy.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def test_the_examples_print_what_they_say(tmp_path):
    (source,) = blocks("c")
    shutil.copy(compiled(source), tmp_path / "guest.wasm")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "numbers.txt").write_text("20\n22\n")
    program = "\n".join(blocks("python"))
    expected = re.findall(r"# prints (.*)$", program, re.MULTILINE)
    command = [sys.executable, "-W", "error", "-c", program]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert len(expected) >= 9
    assert result.stdout.splitlines() == expected


def test_every_field_is_there():
    named = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))))
    assert named == {field.name for field in fields(Policy)}
