"""Features that are parts of the C library, and the stack."""

from __future__ import annotations

import pytest

from wasqlite.bridge import Library, Trap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Project

SOURCES = {
    "process-clocks": "#include <time.h>\nint f(void) { return clock() >= 0; }",
    "getpid": "#include <unistd.h>\nint f(void) { return getpid() > 0; }",
    "mman": "#include <sys/mman.h>\nint f(void) {"
    " char *p = mmap(0, 99, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);"
    " if (p == MAP_FAILED) return 0; p[98] = 1; return munmap(p, 99) == 0; }",
    "signal": "#include <signal.h>\nstatic volatile int seen; static void on(int s) { seen = s; }\n"
    "int f(void) { signal(SIGINT, on); return raise(SIGINT) == 0 && seen == SIGINT; }",
}


@pytest.mark.parametrize("feature", SOURCES)
def test_what_wasi_lacks_is_imitated(project: Project, feature: str) -> None:
    project.write("f.c", SOURCES[feature])
    project.configure(f'sources = ["f.c"]\ndeclarations = "int f(void);"\nfeatures = ["{feature}"]')
    with Library.load(project.build().wasm).open() as guest:
        assert guest.lib.f() == 1


def test_running_over_the_end_of_the_stack_is_a_trap(project: Project) -> None:
    project.write("f.c", "int f(int n) { volatile char a[1000]; a[n % 1000] = 1; return n ? f(n - 1) + a[0] : 0; }")
    project.configure('sources = ["f.c"]\ndeclarations = "int f(int n);"\nstack = 65536')
    library = Library.load(project.build().wasm)
    with library.open() as guest:
        assert guest.lib.f(10) >= 0
        with pytest.raises(Trap):
            guest.lib.f(100)


def test_a_feature_that_is_named_twice_is_there_once(project: Project) -> None:
    project.write("f.c", "#include <stdlib.h>\nint f(void) { return malloc(1) != NULL; }")
    project.configure('sources = ["f.c"]\ndeclarations = "int f(void);"\nfeatures = ["heap", "setjmp", "heap"]')
    with Library.load(project.build().wasm).open() as guest:
        assert guest.lib.f() == 1
