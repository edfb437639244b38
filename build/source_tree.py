"""Makes `wasqlite` importable from this source tree: the builder that SQLite is compiled with is a part of it."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "src"))
