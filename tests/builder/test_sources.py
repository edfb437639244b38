"""Fetched sources: only the archive with the pinned digest gets in, and none of its code is run."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from wasqlite.bridge.builder import BuildError, cache, parse_configuration
from wasqlite.bridge.builder.downloads import pip_download

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from conftest import Project

SOURCE = b'#include "add.h"\nint add(int a, int b) { return a + b; }\n'
FILES = {
    "lib-1.0/setup.py": b"raise SystemExit('code of the package was run')\n",
    "lib-1.0/pyproject.toml": b'[build-system]\nrequires = ["nothing"]\nbuild-backend = "own:backend"\n',
    "lib-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: lib\nVersion: 1.0\n",
    "lib-1.0/c/add.c": SOURCE,
    "lib-1.0/c/add.h": b"int add(int a, int b);\n",
    "lib-1.0/c/deep/more.c": b"int more(void) { return 3; }\n",
    "lib-1.0/other/x.c": b"#error not wanted\n",
}


def write_tarball(path: Path, files: dict[str, bytes]) -> str:
    """Write the archive and return its digest."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def archives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of archives, and a cache in which nothing was fetched."""
    library = next(cache.cache_directory().glob("zig-*-wasi-libc"), None)
    private = tmp_path / "cache" / "build"
    private.mkdir(parents=True)
    if library:
        (private / library.name).symlink_to(library)
    monkeypatch.setattr(cache, "cache_directory", lambda: private)
    for module in ("units", "toolchain", "sources"):
        monkeypatch.setattr(f"wasqlite.bridge.builder.{module}.cache_directory", lambda: private)
    monkeypatch.setenv("WASQLITE_ARCHIVES", str(tmp_path / "archives"))
    (tmp_path / "archives").mkdir()
    return tmp_path / "archives"


def configure(project: Project, digest: str, more: str = "") -> Project:
    return project.configure(
        'sources = ["{lib}/**/*.c"]\nheaders = ["{lib}/add.h"]\n'
        f'[tool.wasqlite-bridge.fetch.lib]\npypi = "lib==1.0"\nsha256 = "{digest}"\nfolder = "c"\n{more}'
    )


def test_sources_come_from_an_archive(project: Project, archives: Path) -> None:
    digest = write_tarball(archives / "any name.tar.gz", FILES)
    assert list(configure(project, digest).table()["functions"]) == ["add"]
    provenance = json.loads((project.folder / "point.provenance.json").read_text())
    assert provenance["fetched"]["lib"] == {
        "pypi": "lib==1.0",
        "sha256": digest,
        "folder": "c",
        "files": ["*"],
    }
    assert set(provenance["sources"]) == {"lib/add.c", "lib/add.h", "lib/deep/more.c"}
    assert str(archives.parent) not in json.dumps(provenance)


def test_files_choose_among_what_is_in_the_folder(project: Project, archives: Path) -> None:
    digest = write_tarball(archives / "lib.tar.gz", FILES)
    configure(project, digest, 'files = ["add.*"]').build()
    provenance = json.loads((project.folder / "point.provenance.json").read_text())
    assert set(provenance["sources"]) == {"lib/add.c", "lib/add.h"}


@pytest.mark.parametrize("name", ["lib.zip", "whatever"])
def test_zip_archives_are_read_too(project: Project, archives: Path, name: str) -> None:
    path = archives / name
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in FILES.items():
            archive.writestr(name, data)
    configure(project, hashlib.sha256(path.read_bytes()).hexdigest()).build()


def test_damaged_files_in_the_cache_are_unpacked_again(project: Project, archives: Path) -> None:
    digest = write_tarball(archives / "lib.tar.gz", FILES)
    first = configure(project, digest).build().wasm.read_bytes()
    (unpacked,) = (archives.parent / "cache" / "build" / "sources").iterdir()
    (unpacked / "add.c").write_bytes(SOURCE.replace(b"+", b"-"))
    assert project.build().wasm.read_bytes() == first
    assert (unpacked / "add.c").read_bytes() == SOURCE


def test_members_cannot_escape_and_links_are_not_followed(project: Project, archives: Path) -> None:
    path = archives / "lib.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("lib-1.0/c/../../../escaped.c", "/lib-1.0/c/absolute.c", "lib-1.0/c/add.c", "lib-1.0/c/add.h"):
            member = tarfile.TarInfo(name)
            member.size = len(FILES.get(name, SOURCE))
            archive.addfile(member, io.BytesIO(FILES.get(name, SOURCE)))
        link = tarfile.TarInfo("lib-1.0/c/link.c")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    configure(project, hashlib.sha256(path.read_bytes()).hexdigest()).build()
    (unpacked,) = (archives.parent / "cache" / "build" / "sources").iterdir()
    assert {item.name for item in unpacked.rglob("*")} == {"add.c", "add.h", "wasqlite-source.json"}
    assert not list(archives.parent.rglob("escaped.c"))


def test_a_folder_that_is_not_there_is_an_error_with_those_that_are(project: Project, archives: Path) -> None:
    digest = write_tarball(archives / "lib.tar.gz", FILES)
    configure(project, digest)
    text = (project.folder / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace('folder = "c"', 'folder = "src"'))
    with pytest.raises(BuildError, match=r"has no files below src that fit \*; its folders are: c, c/deep, other"):
        project.build()


def test_a_folder_of_archives_that_is_not_there_is_named(
    project: Project, archives: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WASQLITE_ARCHIVES", str(archives / "elsewhere"))
    with pytest.raises(BuildError, match=r"WASQLITE_ARCHIVES=.*elsewhere cannot be read \(No such file"):
        configure(project, "0" * 64).build()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({}, "fetch.lib: name the package with one of: pypi, npm, debian"),
        ({"pypi": "lib==1", "npm": "lib@1"}, "name the package with one of"),
        ({"url": "x"}, "fetch.lib: unknown key 'url'; possible are: pypi, npm, debian, sha256, folder, files"),
        ({"npm": "lib@1"}, "fetch.lib: sha256 must be the digest"),
        ({"npm": "lib@1", "sha256": "x" * 64}, "fetch.lib: sha256 must be the digest"),
        ({"npm": 1}, "package must be a string, not 1"),
        ({"npm": "lib@1", "sha256": "0" * 64, "files": "*.c"}, "files must be a list of strings"),
    ],
)
def test_a_wrong_table_is_named(tmp_path: Path, table: dict[str, Any], message: str) -> None:
    with pytest.raises(BuildError, match=message):
        parse_configuration(tmp_path, {"name": "x", "sources": ["a.c"], "headers": ["a.h"], "fetch": {"lib": table}})


def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, bytes]) -> str:
    """A folder that pip takes for its package index."""
    digest = write_tarball(tmp_path / "index" / "lib-1.0.tar.gz", files)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return digest


@pytest.mark.parametrize("backend", ["own:backend", "setuptools.build_meta", "a.b.c", None])
def test_pip_runs_no_code_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str | None) -> None:
    files = dict(FILES)
    if backend is None:
        del files["lib-1.0/pyproject.toml"]
    else:
        text = f'[build-system]\nrequires = ["nothing"]\nbuild-backend = "{backend}"\nbackend-path = ["."]\n'
        files["lib-1.0/pyproject.toml"] = text.encode()
        files["lib-1.0/own.py"] = files["lib-1.0/a.py"] = b"raise SystemExit('code of the package was run')\n"
    digest = serve(tmp_path, monkeypatch, files)
    (tmp_path / "download").mkdir()
    archive = pip_download("lib==1.0", digest, tmp_path / "download")
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == digest


def test_pip_refuses_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    serve(tmp_path, monkeypatch, FILES)
    (tmp_path / "download").mkdir()
    with pytest.raises(BuildError, match=r"`pip download lib==1\.0` failed: .*HASHES"):
        pip_download("lib==1.0", "0" * 64, tmp_path / "download")


def test_a_package_that_is_not_there_is_one_line(
    project: Project, archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serve(tmp_path, monkeypatch, FILES)
    configure(project, "0" * 64)
    text = (project.folder / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace("lib==1.0", "missing==1.0"))
    with pytest.raises(BuildError, match=r"pip download missing==1\.0.*WASQLITE_ARCHIVES") as caught:
        project.build()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix", reason="the stand-in for npm is a shell script")
def test_npm_packages_with_another_digest_do_not_reach_the_cache(
    project: Project, archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tarball(tmp_path / "lib-1.0.tgz", FILES)
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n/bin/cp '{tmp_path}/lib-1.0.tgz' .\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    configure(project, "0" * 64)
    text = (project.folder / "pyproject.toml").read_text()
    project.write("pyproject.toml", text.replace('pypi = "lib==1.0"', 'npm = "lib@1.0"'))
    with pytest.raises(BuildError, match=r"lib-1\.0\.tgz of lib@1\.0 has SHA-256"):
        project.build()
    assert not list((archives.parent / "cache").rglob("add.c"))
