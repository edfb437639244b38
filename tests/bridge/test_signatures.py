"""Functions of types that the host cannot pass: they are known as such, and nothing else happens."""

from __future__ import annotations

import subprocess
import sys

import pytest

# wasmtime's C API ends the process when it is asked what kind most of these are, so each is tried in its own.
TYPES = ["v128", "funcref", "externref", "exnref", "anyref", "i31ref", "structref", "(ref null 0)", "(ref func)"]
PROGRAM = """
import sys
from wasqlite.bridge import BridgeError, HostFunction, Library

try:  # proposals that an interruptible guest may not use
    Library.from_wat(sys.argv[1])
except BridgeError:
    pass
library = Library.from_wat(sys.argv[1], interruptible=False)
print(library.imports, library.exports["f"])
try:
    library.open().function("f")
except BridgeError as error:
    print(type(error).__name__)
try:
    library.open(hosts=[lambda memory: [HostFunction("a", "b", "i", "", print)]])
except BridgeError as error:
    print(type(error).__name__)
"""


@pytest.mark.parametrize("declared", TYPES)
@pytest.mark.parametrize("where", ["import", "export"])
def test_a_module_with_any_type_is_loaded_or_refused(declared: str, where: str) -> None:
    parameter = f"(param {declared} i32)"
    imported = f'(import "a" "b" (func {parameter}))' if where == "import" else ""
    text = f'(module (type (func)) {imported} (func (export "f") {parameter if where == "export" else ""}))'
    done = subprocess.run([sys.executable, "-c", PROGRAM, text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    printed, *errors = done.stdout.splitlines()
    assert "('?i', '')" in printed
    assert errors
