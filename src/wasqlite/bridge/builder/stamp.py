"""What files were built from: the digest of all inputs, and the provenance file that holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wasqlite.bridge.builder.cache import sha256, write_atomically


def digest_of(value: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of its keys."""
    return sha256(json.dumps(value, sort_keys=True).encode())


def is_current(provenance: Path, inputs: Any, names: Mapping[str, str]) -> bool:
    """Tell whether the files beside ``provenance`` are there whole, made of exactly these inputs.

    ``names`` says under which key of the provenance each file is described.
    """
    try:
        found = json.loads(provenance.read_bytes())
        return bool(found["inputs"] == digest_of(inputs)) and all(
            found[key]["sha256"] == sha256((provenance.parent / name).read_bytes()) for key, name in names.items()
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def write_outputs(provenance: Path, inputs: Any, files: Mapping[str, tuple[str, bytes]]) -> None:
    """Write the files, then their provenance: a reader of half of it sees a stamp that doesn't match.

    ``files`` has a name and the content under each key.
    """
    described = {
        **inputs,
        "inputs": digest_of(inputs),
        **{key: {"sha256": sha256(data), "size": len(data)} for key, (_, data) in files.items()},
    }
    for name, data in files.values():
        write_atomically(provenance.parent / name, data)
    write_atomically(provenance, (json.dumps(described, indent=2) + "\n").encode())
