"""The feature ``heap``: memory that was freed is there for blocks of other sizes, and after a restore."""

from __future__ import annotations

import pytest

from wasqlite.bridge import Instance, Library, Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Project

HEADER = "#include <stdlib.h>\nvoid wsq_heap_regain(void);\n"


def fill(guest: Instance) -> list[int]:
    """All memory that there is, in small blocks."""
    malloc = guest.function("malloc")
    return list(iter(lambda: malloc(56), 0))


@pytest.fixture
def guest(project: Project) -> Instance:
    project.write("empty.c", "").configure(
        f'sources = ["empty.c"]\ndeclarations = """{HEADER}"""\nfeatures = ["heap"]\nfunctions = ["wsq_heap_regain"]'
    )
    return Library.load(project.build().wasm).open(Policy(memory=4 << 20))


def test_freed_blocks_become_larger_ones(guest: Instance) -> None:
    malloc, free = guest.function("malloc"), guest.function("free")
    blocks = fill(guest)
    assert malloc(100_000) == 0
    for block in blocks:
        free(block)
    assert malloc(2_000_000)


def test_what_grew_after_a_snapshot_is_regained(guest: Instance) -> None:
    fresh = guest.snapshot()
    for _ in range(3):
        fill(guest)
        guest.restore(fresh)
        guest.lib.wsq_heap_regain()
        assert guest.function("malloc")(2_000_000)
