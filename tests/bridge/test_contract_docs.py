"""What docs/contract.md shows is run as it stands there: the contract, the guest in C, the program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from guests import compiled

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "contract.md").read_text(encoding="utf-8")


def test_the_contract_the_guest_and_the_program(tmp_path):
    contract, program = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (guest,) = re.findall(r"^```c\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "editor.py").write_text(contract)

    def python(code):
        # Not a script in the folder, so that "editor" is found there.
        command = [sys.executable, "-W", "error", "-c", code]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return result.stdout

    (command,) = re.findall(r'`python -c "(.*?)" > editor.h`', PAGE)
    header = python(command)
    wasm = compiled(guest.replace('#include "editor.h"\n', header))
    (tmp_path / "plugin.wasm").write_bytes(wasm.read_bytes())
    expected = re.findall(r"# prints (.*)$", program, re.MULTILINE)
    assert len(expected) == 3
    assert python(program).splitlines() == expected
