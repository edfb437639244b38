"""The hatchling hook: compile the wasm module before a wheel is made or the project is installed."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

# hatchling loads this file by its path, so its neighbours need theirs; only for the length of these imports.
_path = list(sys.path)
sys.path.insert(0, str(Path(__file__).resolve().parent))
try:
    from compile import build_module
    from wasqlite.bridge.builder.report import BuildError, check_python
    from wasqlite.bridge.builder.toolchain import build_requirements
finally:
    sys.path[:] = _path


class WasmBuildHook(BuildHookInterface[Any]):
    """Compiles on wheels (editable ones too); a source distribution holds sources only."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return the build requirements: PEP 517's `get_requires_for_build_wheel` asks for them."""
        return build_requirements() if self.target_name == "wheel" else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile the module into the source tree, whence the wheel takes it as an artifact."""
        if self.target_name != "wheel":
            return
        try:
            check_python()
            build_module(Path(self.root))
        except BuildError as error:
            # SystemExit, because front ends print a traceback for anything else.
            raise SystemExit(f"wasqlite build: error: {error}") from None
        # The module is the same on every platform.
        build_data["pure_python"] = True
        build_data["infer_tag"] = False
