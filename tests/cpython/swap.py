"""Makes ``import sqlite3`` mean wasqlite in a process and in its children: a ``.pth`` file imports this."""

from __future__ import annotations

import sys

from alias import Alias

sys.meta_path.insert(0, Alias({"sqlite3": "wasqlite", "_sqlite3": "wasqlite"}))
