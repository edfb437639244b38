"""``python -m wasqlite.bridge build [folder]``."""

from __future__ import annotations

import sys

from wasqlite.bridge.builder.command import main
from wasqlite.bridge.builder.report import run_command

if __name__ == "__main__":
    run_command(lambda: main(sys.argv[1:]))
