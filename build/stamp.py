"""What the module was built from: the digest of all inputs, and the provenance file beside the module."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cache import sha256, write_atomically
from fetch_sqlite import NPM_PACKAGE, SQLITE_SHA256, SQLITE_SOURCE_ID, SQLITE_VERSION
from toolchain import Toolchain

MODULE_NAME = "sqlite.wasm"
PROVENANCE_NAME = "provenance.json"


def source_digests(sources: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in `c-src` that can reach the module, by name."""
    files = [path for path in sources.iterdir() if path.suffix in {".c", ".h"} or path.name == "exports.txt"]
    return {path.name: sha256(path.read_bytes()) for path in sorted(files)}


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of its keys."""
    return sha256(json.dumps(value, sort_keys=True).encode())


def describe_inputs(sources: Path, toolchain: Toolchain, compile_flags: list[str], link_flags: list[str]) -> Any:
    """Return everything that determines the module's bytes; it names no path of this machine."""
    return {
        "sqlite": {
            "version": SQLITE_VERSION,
            "source_id": SQLITE_SOURCE_ID,
            "package": NPM_PACKAGE,
            "sha256": SQLITE_SHA256,
        },
        "sources": source_digests(sources),
        "compiler": toolchain.identity,
        "flags": {"compile": compile_flags, "link": link_flags},
    }


def is_current(output: Path, inputs: Any) -> bool:
    """Tell whether `output` holds the module of exactly these inputs, whole."""
    try:
        provenance = json.loads((output / PROVENANCE_NAME).read_bytes())
        module = (output / MODULE_NAME).read_bytes()
        return bool(provenance["inputs"] == digest_of(inputs) and provenance["module"]["sha256"] == sha256(module))
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_output(output: Path, inputs: Any, module: bytes) -> None:
    """Write the module, then its provenance: a reader of half of it sees a stamp that doesn't match."""
    provenance = {
        **inputs,
        "inputs": digest_of(inputs),
        "module": {"sha256": sha256(module), "size": len(module)},
    }
    write_atomically(output / MODULE_NAME, module)
    write_atomically(output / PROVENANCE_NAME, (json.dumps(provenance, indent=2) + "\n").encode())
