"""CPython's own ``test.test_pyexpat``, unmodified, on wasexpat: ``run.py [--python 3.12] [BufferTextTest.test1 ...]``.

On every Python found here, as tests/cpython/run.py does it for sqlite3. ``expected.toml`` says what fails, and why.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "tests" / "cpython"))

from run import Suite, main

from wasqlite.bridge.builder import build

HERE = Path(__file__).resolve().parent

if __name__ == "__main__":
    build(HERE.parent)
    sys.exit(main(Suite("test.test_pyexpat", HERE, "swap_pyexpat", (HERE.parent,))))
