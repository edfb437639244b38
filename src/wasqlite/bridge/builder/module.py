"""Build a module from its configuration: compile, link, describe; do nothing when it is up to date."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wasqlite.bridge.builder.cache import sha256
from wasqlite.bridge.builder.config import Configuration, read_configuration
from wasqlite.bridge.builder.features import (
    RUNTIME,
    feature_flags,
    feature_headers,
    feature_libraries,
    feature_sources,
)
from wasqlite.bridge.builder.linking import BRIDGE_EXPORTS, link, link_flags
from wasqlite.bridge.builder.report import BuildError, say
from wasqlite.bridge.builder.stamp import is_current, write_outputs
from wasqlite.bridge.builder.stubs import render
from wasqlite.bridge.builder.table import Extraction, Headers
from wasqlite.bridge.builder.toolchain import Toolchain, find_toolchain
from wasqlite.bridge.builder.units import Units, compile_units
from wasqlite.bridge.builder.wasm_sections import read_sections

# The version of what the builder writes: other versions build again.
BUILDER = 1
COMPILE_FLAGS = (
    "-std=gnu17",
    "-O2",
    "-msimd128",
    "-ferror-limit=0",
    # Bytes that depend on when they were compiled are an error, not a surprise.
    "-Werror=date-time",
    # zig's C compiler switches it on in some modes.
    "-fno-sanitize=undefined",
)


@dataclass(frozen=True)
class Outputs:
    """The files that a build makes, beside each other."""

    folder: Path
    name: str

    @property
    def wasm(self) -> Path:
        """The module."""
        return self.folder / f"{self.name}.wasm"

    @property
    def types(self) -> Path:
        """The layout table."""
        return self.folder / f"{self.name}.types.json"

    @property
    def stub(self) -> Path:
        """The types for type checkers."""
        return self.folder / f"{self.name}.pyi"

    @property
    def provenance(self) -> Path:
        """What the others were made of."""
        return self.folder / f"{self.name}.provenance.json"

    def files(self) -> list[Path]:
        """All of them."""
        return [self.wasm, self.types, self.stub, self.provenance]


def build(project: Path | str | Configuration = ".", *, force: bool = False) -> Outputs:
    """Bring a project's module up to date: a folder with a pyproject.toml, or a configuration."""
    configuration = project if isinstance(project, Configuration) else read_configuration(Path(project))
    configuration = configuration.fetched()
    outputs = Outputs(configuration.path(configuration.output), configuration.name)
    if outputs.stub.with_suffix(".py").exists():
        raise BuildError(
            f"type checkers would take {outputs.stub.name} for the stub of {outputs.stub.stem}.py beside it: "
            'give the module another name, as in name = "_point"'
        )
    toolchain = find_toolchain()
    units = _units(configuration)
    sources = list(dict.fromkeys([*configuration.source_files(), *feature_sources(configuration.features)]))
    headers = Headers(configuration.header_files(), configuration.declarations, configuration.root)
    inputs = _describe(configuration, units, toolchain, sources, headers)
    names = {"module": outputs.wasm.name, "types": outputs.types.name, "stub": outputs.stub.name}
    if not force and is_current(outputs.provenance, inputs, names):
        return outputs
    extraction = Extraction(headers, units, toolchain)
    objects = compile_units(units, sources, toolchain)
    found = extraction.declarations
    functions = extraction.select(
        "functions", configuration.functions, {name: item.files for name, item in found.functions.items()}
    )
    variables = extraction.select(
        "variables", configuration.variables, {name: item.files for name, item in found.variables.items()}
    )
    module = link(
        objects,
        [*BRIDGE_EXPORTS, *functions[0], *variables[0]],
        toolchain,
        link_flags(configuration.stack),
        if_defined=[*functions[1], *variables[1]],
        libraries=toolchain.further_libraries(feature_libraries(configuration.features)),
    )
    exported = _exported(module)
    present = _present([*functions[0], *functions[1]], exported, "func")
    if not present:
        raise BuildError("the module has no function to call: the sources define none that the headers declare")
    table = extraction.table(
        configuration.name,
        present,
        _present([*variables[0], *variables[1]], exported, "global"),
        configuration.constants,
    )
    types = json.dumps(table, indent=1, ensure_ascii=False).encode() + b"\n"
    contents = {"module": module, "types": types, "stub": render(table).encode()}
    write_outputs(outputs.provenance, inputs, {key: (names[key], data) for key, data in contents.items()})
    say(f"{outputs.wasm.name}: {len(present)} functions, {len(module) / 1e3:.0f} kB, SHA-256 {sha256(module)}")
    return outputs


def _units(configuration: Configuration) -> Units:
    defines = tuple(f"-D{define}" for define in configuration.defines)
    return Units(
        flags=(*COMPILE_FLAGS, *feature_flags(configuration.features), *defines, *configuration.flags),
        include=configuration.include_folders(),
        system_include=feature_headers(configuration.features),
        names=(
            *((path, name) for name, path in configuration.folders.items()),
            (configuration.root, configuration.name),
            (RUNTIME, "wasqlite"),
        ),
        base=(configuration.root, configuration.name),
    )


def _describe(
    configuration: Configuration, units: Units, toolchain: Toolchain, sources: Iterable[Path], headers: Headers
) -> Any:
    """Everything that determines the output; it names no path of this machine."""
    files: dict[str, str] = {}
    libraries = toolchain.further_libraries(feature_libraries(configuration.features))
    for path in (*sources, *headers.files):
        files |= units.inputs(path)
    for path in units.included_by_text(headers.text, headers.folder):
        files[units.name_of(path)] = units.digest(path)
    return {
        "builder": BUILDER,
        "compiler": toolchain.identity,
        "libraries": {path.name: sha256(path.read_bytes()) for path in libraries},
        "flags": {
            "compile": [*toolchain.compile_flags, *units.flags],
            "link": list(link_flags(configuration.stack)),
        },
        "fetched": {name: source.describe() for name, source in sorted(configuration.fetch.items())},
        "sources": dict(sorted(files.items())),
        "declarations": {
            "headers": [units.name_of(path) for path in headers.files],
            "text": sha256(headers.text.encode()),
        },
        "wanted": {
            "functions": configuration.functions,
            "variables": configuration.variables,
            "constants": configuration.constants,
        },
    }


def _exported(module: bytes) -> dict[str, str]:
    return dict(read_sections(module).exports)


def _present(names: Iterable[str], exported: dict[str, str], kind: str) -> list[str]:
    return [name for name in names if exported.get(name) == kind]
