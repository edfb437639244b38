"""Download packages with the ordinary clients of their registries: pip, npm, apt. No code of a package is run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from wasqlite.bridge.builder.report import BuildError

_RUNTIME = Path(__file__).resolve().parent / "runtime"
_SYSTEM = Path("/etc/apt")


def npm_pack(package: str, directory: Path) -> Path:
    """Download an npm package (``name@version``) into ``directory`` and return its tarball."""
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError(f"npm was not found: install npm (it fetches {package})")
    command = [npm, "pack", package, "--ignore-scripts", "--pack-destination", str(directory)]
    try:
        done = _run(command, directory)
    except OSError as error:
        raise BuildError(f"npm cannot be run ({error.strerror}): repair it") from None
    tarballs = list(directory.glob("*.tgz"))
    if done.returncode != 0 or len(tarballs) != 1:
        complaint = next((line for line in done.stderr.splitlines() if line.startswith("npm error")), "no message")
        raise BuildError(f"`npm pack {package}` failed ({complaint}): check the network")
    return tarballs[0]


def pip_download(requirement: str, sha256: str, directory: Path) -> Path:
    """Download a source distribution (``name==version``) from the package index that pip is configured for."""
    if not re.fullmatch(r"[\w.-]+==[\w.!+-]+", requirement):
        raise BuildError(f"{requirement!r} does not name one version of a package: name==version")
    (directory / "wanted.txt").write_text(f"{requirement} --hash=sha256:{sha256}\n")
    options = [
        "--no-deps",
        "--no-binary=:all:",
        "--require-hashes",
        "--no-build-isolation",
        "--use-pep517",
        "--no-input",
    ]
    command = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", *options]
    # pip wants to know the metadata of what it downloads, and would run the package's build for that: minutes of
    # compiling in some cases. The build is replaced by one that says name and version; see runtime/sitecustomize.py.
    path = os.pathsep.join(filter(None, [str(_RUNTIME), os.environ.get("PYTHONPATH")]))
    environment = {"PYTHONPATH": path, "WASQLITE_METADATA": requirement}
    done = _run([*command, "--dest", str(directory), "-r", "wanted.txt"], directory, **environment)
    found = [path for path in directory.iterdir() if path.name.endswith((".tar.gz", ".zip", ".tar.bz2", ".tar.xz"))]
    if done.returncode != 0 or len(found) != 1:
        lines = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("WARNING")]
        complaint = " ".join(line.strip() for line in lines[:6]) or "no message"
        raise BuildError(f"`pip download {requirement}` failed: {complaint}")
    return found[0]


def apt_source(package: str, directory: Path) -> Path:
    """Download a Debian source package's upstream tarball, verified by apt, and return it.

    apt runs with a configuration of its own in ``directory``: the system's sources are read, not changed.
    """
    if shutil.which("apt-get") is None:
        raise BuildError(f"apt-get was not found: {package} comes from a Debian source package")
    for name in ("sources.list.d", "lists/partial", "cache/archives/partial"):
        (directory / name).mkdir(parents=True)
    (directory / "sources.list").write_text(_source_lines(_SYSTEM))
    (directory / "sources.list.d" / "source.sources").write_text(_source_entries(_SYSTEM))
    _apt_get(directory, "update")
    # apt checks the signature of the index, and every file's SHA-256 against the index.
    _apt_get(directory, "source", "--download-only", "--tar-only", package)
    name = package.partition("=")[0]
    tarballs = [path for path in directory.glob(f"{name}_*.orig.tar.*") if path.suffix != ".asc"]
    if len(tarballs) != 1:
        raise BuildError(f"the source package {name} came without its upstream tarball: is the mirror complete?")
    return tarballs[0]


def _source_entries(system: Path) -> str:
    """The system's own deb822 sources as ``deb-src``: same places, same keys."""
    entries = []
    for path in sorted((system / "sources.list.d").glob("*.sources")):
        for entry in path.read_text().split("\n\n"):
            lines = [line for line in entry.splitlines() if line.strip() and not line.startswith("#")]
            if lines and "debian" in entry:
                entries.append("\n".join("Types: deb-src" if line.startswith("Types:") else line for line in lines))
    return "\n\n".join(entries) + "\n"


def _source_lines(system: Path) -> str:
    """The lines of the older ``sources.list`` as ``deb-src``."""
    path = system / "sources.list"
    lines = path.read_text().splitlines() if path.exists() else []
    return "".join(f"deb-src{line[3:]}\n" for line in lines if line.startswith("deb "))


def _apt_get(private: Path, *words: str) -> None:
    options = {
        "Dir::Etc::sourcelist": private / "sources.list",
        "Dir::Etc::sourceparts": private / "sources.list.d",
        "Dir::State::lists": private / "lists",
        "Dir::Cache": private / "cache",
        "APT::Sandbox::User": "",  # the directory belongs to who runs this
        "Acquire::Languages": "none",
    }
    command = ["apt-get", "--quiet", *(f"-o{name}={value}" for name, value in options.items()), *words]
    done = _run(command, private)
    if done.returncode != 0:
        complaint = next((line for line in reversed(done.stderr.splitlines()) if line), "no message")
        raise BuildError(f"`apt-get {' '.join(words)}` failed ({complaint}): is there a network and a Debian mirror?")


def _run(command: list[str], directory: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=directory,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
