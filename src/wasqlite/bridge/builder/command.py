"""``python -m wasqlite.bridge build [folder]``."""

from __future__ import annotations

import argparse
from pathlib import Path

from wasqlite.bridge.builder.module import build


def main(arguments: list[str]) -> None:
    """Build the project in a folder, and print the paths of what was made."""
    parser = argparse.ArgumentParser(prog="python -m wasqlite.bridge")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("build", help="compile the C sources that pyproject.toml names to a wasm module")
    command.add_argument("folder", nargs="?", type=Path, default=Path(), help="the project (default: here)")
    command.add_argument("--force", action="store_true", help="also when it is up to date, though from cached objects")
    options = parser.parse_args(arguments)
    for path in build(options.folder, force=options.force).files():
        print(path)
