"""The bridge's public interface, and that the driver needs nothing else of it.

That it imports no other module is held by a contract of import-linter (pyproject.toml).
"""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import wasqlite
from wasqlite import bridge

ROOT = Path(wasqlite.__file__).parent
PUBLIC = ("wasqlite.bridge", "wasqlite.bridge.record", "wasqlite.bridge.wasi", "wasqlite.bridge.wasi.errno")
DRIVER = [path for path in sorted(ROOT.rglob("*.py")) if "bridge" not in path.relative_to(ROOT).parts[:1]]


def imports_of_the_bridge(path: Path) -> list[tuple[str, str]]:
    """The module and the name of each, wherever in the file it stands."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("wasqlite.bridge"):
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names if alias.name.startswith("wasqlite.bridge")]
    return found


def test_the_driver_imports_public_names_only():
    seen = {(path.name, *item) for path in DRIVER for item in imports_of_the_bridge(path)}
    assert len(seen) > 30
    for path, module, name in sorted(seen):
        assert module in PUBLIC, (path, module)
        public = getattr(importlib.import_module(module), "__all__", None)
        assert name and not name.startswith("_"), (path, module, name)
        assert public is None or name in public, (path, module, name)


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_there(module):
    found = importlib.import_module(module)
    for name in getattr(found, "__all__", ()):
        assert getattr(found, name) is not None
    assert found.__doc__


def test_star_import_and_dir_know_them_all():
    namespace: dict[str, object] = {}
    exec("from wasqlite.bridge import *", namespace)
    assert set(bridge.__all__) <= set(namespace)
    assert set(bridge.__all__) <= set(dir(bridge))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        bridge.nothing  # noqa: B018


def test_the_bridge_stands_without_the_driver():
    program = (
        "import sys\n"
        "from wasqlite.bridge import *\n"
        "Library.from_wat('(module (memory (export \"memory\") 1))').open().close()\n"
    )
    # The package itself is the driver's, so its __init__ is left out.
    program = (
        "import sys, types\n"
        f"package = types.ModuleType('wasqlite'); package.__path__ = [{str(ROOT)!r}]\n"
        "sys.modules['wasqlite'] = package\n" + program + "print(*(name for name in sys.modules if name.startswith("
        "'wasqlite.') and not name.startswith('wasqlite.bridge')))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (result.stdout, result.stderr) == ("\n", "")
