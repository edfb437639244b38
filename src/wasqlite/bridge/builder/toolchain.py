"""The C compiler and linker: the `ziglang` wheel, or the wasi-sdk that `WASI_SDK_PATH` names."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wasqlite.bridge.builder.cache import cache_directory, sha256
from wasqlite.bridge.builder.report import BuildError
from wasqlite.bridge.builder.zig_libc import build_libc, library_paths, zig_environment

# Exact, because another zig gives other bytes. The dependency group `build` in pyproject.toml repeats it.
ZIG_REQUIREMENT = "ziglang==0.17.1"


@dataclass(frozen=True)
class Toolchain:
    """How to call a compiler and a linker, and what distinguishes them from all others."""

    # Everything of the compiler and its C library that can change the output. Holds no path.
    identity: str
    compiler: tuple[str, ...]
    compile_flags: tuple[str, ...]
    # wasm-ld: both toolchains have it, so there is one way to link.
    linker: tuple[str, ...]
    # The C library: start-up code and archives.
    libraries: tuple[Path, ...]
    # Compiler flags that hold a path of this machine: they must not influence the output.
    location_flags: tuple[str, ...] = ()
    # clang itself with target and headers, for what is asked of the compiler beyond objects: declarations, layouts.
    front_end: tuple[str, ...] = ()
    # Where further libraries of the C library are; None if they are all in it.
    library_folder: Path | None = None

    def run(self, command: list[str], directory: Path) -> subprocess.CompletedProcess[str]:
        """Run a command of this toolchain in `directory`, where it may leave files of its own."""
        try:
            return subprocess.run(
                command,
                cwd=directory,
                env={**os.environ, **zig_environment(directory)},
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise BuildError(f"{command[0]} cannot be run ({error.strerror}): repair the compiler") from None

    def further_libraries(self, names: Iterable[str]) -> list[Path]:
        """Parts of the C library that are not in its main archive."""
        return [self.library_folder / name for name in names] if self.library_folder else []

    def is_ready(self) -> bool:
        """Tell whether the C library is there."""
        return all(path.is_file() for path in self.libraries)

    def prepare(self) -> None:
        """Compile the C library; only zig comes without a compiled one."""
        build_libc(self.compiler, self.compile_flags, self.libraries[0].parent)


def find_toolchain() -> Toolchain:
    """Return the compiler to use; raise BuildError when there is none."""
    sdk = os.environ.get("WASI_SDK_PATH")
    return _wasi_sdk(Path(sdk).absolute()) if sdk else _zig()


def build_requirements() -> list[str]:
    """Return what the build needs from the package index: nothing when a wasi-sdk is there."""
    return [] if os.environ.get("WASI_SDK_PATH") else [ZIG_REQUIREMENT]


def _zig() -> Toolchain:
    specification = importlib.util.find_spec("ziglang")
    if specification is None:
        raise BuildError(f"no compiler: run `pip install {ZIG_REQUIREMENT}`, or set WASI_SDK_PATH to a wasi-sdk")
    version = importlib.metadata.version("ziglang")
    zig = (sys.executable, "-m", "ziglang")
    library = Path(next(iter(specification.submodule_search_locations or ()))) / "lib"
    headers = [
        library / "include",
        *(library / "libc" / "include" / name for name in ("wasm-wasi-musl", "generic-musl")),
    ]
    return Toolchain(
        identity=f"ziglang {version}",
        compiler=(*zig, "cc"),
        compile_flags=("--target=wasm32-wasi",),
        linker=(*zig, "wasm-ld"),
        libraries=library_paths(cache_directory() / f"zig-{version}-wasi-libc"),
        # `zig cc -fsyntax-only` misses the object that it did not make.
        front_end=(*zig, "clang", "--target=wasm32-wasip1", "-nostdinc", *(f"-isystem{path}" for path in headers)),
    )


def _wasi_sdk(path: Path) -> Toolchain:
    suffix = ".exe" if sys.platform == "win32" else ""
    clang = path / "bin" / f"clang{suffix}"
    linker = path / "bin" / f"wasm-ld{suffix}"
    sysroot = path / "share" / "wasi-sysroot"
    for part in (clang, linker, sysroot):
        if not part.exists():
            raise BuildError(f"WASI_SDK_PATH={path} is not a wasi-sdk: it has no {part.relative_to(path)}")
    targets = ("wasm32-wasip1", "wasm32-wasi")
    target = next((name for name in targets if (sysroot / "lib" / name / "libc.a").exists()), None)
    if target is None:
        raise BuildError(f"WASI_SDK_PATH={path} has no share/wasi-sysroot/lib/wasm32-wasip1/libc.a")
    # The older spelling of the target is deprecated, but the directory of the libraries decides.
    flags = (f"--target={target}", "-Wno-deprecated")
    version = _output(clang, "--version").splitlines()[0]
    builtins = Path(_output(clang, *flags, "-print-libgcc-file-name").strip())
    if not builtins.is_file():
        raise BuildError(f"WASI_SDK_PATH={path} lacks clang's run-time library: there is no {builtins}")
    libraries = (sysroot / "lib" / target / "crt1-reactor.o", sysroot / "lib" / target / "libc.a", builtins)
    digest = sha256(b"".join(library.read_bytes() for library in libraries))
    return Toolchain(
        identity=f"{version}, C library {digest[:16]}",
        compiler=(str(clang),),
        compile_flags=flags,
        linker=(str(linker),),
        libraries=libraries,
        location_flags=(f"--sysroot={sysroot}",),
        front_end=(str(clang), *flags, f"--sysroot={sysroot}"),
        library_folder=sysroot / "lib" / target,
    )


def _output(clang: Path, *arguments: str) -> str:
    try:
        return subprocess.run([clang, *arguments], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise BuildError(f"{clang} cannot be run ({error}): repair the wasi-sdk or unset WASI_SDK_PATH") from None
