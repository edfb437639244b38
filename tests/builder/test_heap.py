"""The feature ``heap``: memory that was freed is there for blocks of other sizes, and after a restore."""

from __future__ import annotations

import pytest

from wasqlite.bridge import Instance, Library, Policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Project

HEADER = "#include <stdlib.h>\nvoid wsq_heap_regain(void);\n"
ENOMEM = 48


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


def test_requests_that_no_memory_can_meet_fail(project: Project) -> None:
    project.write("empty.c", "").configure(
        f'sources = ["empty.c"]\ndeclarations = """{HEADER}"""\nfeatures = ["heap"]\n'
        'functions = ["malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "free"]'
    )
    with Library.load(project.build().wasm).open(Policy(memory=256 << 20)) as guest:
        lib = guest.lib
        # Free blocks of many sizes, none of which is near to what is asked for.
        blocks = [lib.malloc(16 << step) for step in range(23)]
        kept = [lib.malloc(8) for _ in blocks]
        for block in blocks:
            lib.free(block)
        for size in (0xF800_0000, 0xFBFF_FFF0, 0xFC00_0000, 0xFE00_0000, 0xFFFE_FFD0, 0xFFFF_FFFF):
            assert not lib.malloc(size)
            assert not lib.calloc(1, size)
            assert not lib.realloc(kept[0], size)
            for alignment in (8, 16, 4096, 1 << 24):
                assert not lib.aligned_alloc(alignment, size)
                with guest.new("void **") as found:
                    assert lib.posix_memalign(found, alignment, size) == ENOMEM
        assert lib.malloc(16 << 22)


@pytest.mark.parametrize("room", [0, 16, 32])
def test_a_heap_without_room_in_the_first_memory(project: Project, room: int) -> None:
    # Data that end where the last page does, or almost.
    def build(size: int) -> Library:
        project.write(
            "data.c", f"char data[{size}] = {{1}}; extern char __heap_base; char *base(void) {{ return &__heap_base; }}"
        )
        project.configure(
            f'sources = ["data.c"]\ndeclarations = """{HEADER}\nchar *base(void); extern char data[{size}];"""\n'
            'features = ["heap"]\nfunctions = ["base", "malloc", "free"]'
        )
        return Library.load(project.build().wasm)

    base = int(build(16).open().lib.base())
    size = 16 + (-base - room) % 65536
    with build(size).open(Policy(memory=4 << 20)) as guest:
        assert (int(guest.lib.base()) + room) % 65536 == 0
        assert guest.memory.size == int(guest.lib.base()) + room
        blocks = [guest.new("char[]", b"x" * size) for size in (1, 100, 100_000)]
        assert [len(set(block[0 : len(block) - 1])) for block in blocks] == [1, 1, 1]
        del blocks
        assert guest.new("char[1000000]")
