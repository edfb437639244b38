"""Lets the files of this folder import each other: sweep.py is a script too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
