"""setjmp and longjmp, as wasm exceptions with the builder's own runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from wasqlite.bridge import BridgeError, HostFunction, Library, Policy
from wasqlite.bridge.builder import BuildError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from conftest import Project

SOURCE = """
#include <setjmp.h>
#include <stdlib.h>
#include "jump.h"

__attribute__((import_module("host"), import_name("visit"))) int visit(int n);

static jmp_buf outer, inner;

static int descend(int n, jmp_buf *env, int value) {
  char frame[1000];
  frame[n % 1000] = (char)n;
  if (n == 0) longjmp(*env, value);
  return descend(n - 1, env, value) + frame[n % 1000];
}

int jump(int depth, int value) {
  volatile int kept = depth;
  int result = setjmp(outer);
  if (result != 0) return kept * 1000 + result;
  kept = kept + 1;
  return descend(depth, &outer, value);
}

int nested(int which) {
  if (setjmp(outer)) return 1;
  if (setjmp(inner)) return which == 2 ? descend(3, &outer, 1) : 2;
  return descend(5, which == 1 ? &outer : &inner, 1);
}

static int inside(void) {
  jmp_buf here;
  if (setjmp(here)) return 10;
  return descend(2, &outer, 1);
}

int through_another_setjmp(void) { return setjmp(outer) ? 20 : inside(); }

int retries(int times) {
  volatile int count = 0;
  setjmp(outer);
  if (count++ < times) longjmp(outer, 1);
  return count;
}

int normal(void) { return setjmp(outer) == 0 ? 5 : 6; }

int over_the_host(int n) {
  if (setjmp(outer)) return 30;
  return visit(n);
}

void throw_back(int n) { descend(n, &outer, 1); }
"""
HEADER = """
int jump(int depth, int value);
int nested(int which);
int through_another_setjmp(void);
int retries(int times);
int normal(void);
int over_the_host(int n);
void throw_back(int n);
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory, make_project: Callable[..., Any]) -> Library:
    project = make_project(tmp_path_factory.mktemp("setjmp"))
    project.write("jump.c", SOURCE).write("jump.h", HEADER)
    project.configure('sources = ["jump.c"]\nheaders = ["jump.h"]\nfeatures = ["setjmp"]')
    return Library.load(project.build().wasm)


def visitor(function: Callable[[int], int]) -> Any:
    return [lambda memory: [HostFunction("host", "visit", "i", "i", function, reentrant=True)]]


@pytest.fixture
def call(library: Library) -> Callable[..., int]:
    guest = library.open(hosts=visitor(lambda n: n))
    return lambda name, *arguments: guest.function(name)(*arguments)


@pytest.mark.parametrize("depth", [0, 1, 50])
def test_a_jump_returns_to_its_setjmp_with_its_value(call: Callable[..., int], depth: int) -> None:
    assert call("jump", depth, 7) == (depth + 1) * 1000 + 7


def test_the_value_zero_becomes_one(call: Callable[..., int]) -> None:
    assert call("jump", 1, 0) == 2001


def test_without_a_jump_setjmp_returns_zero(call: Callable[..., int]) -> None:
    assert call("normal") == 5


def test_each_jump_finds_the_right_one_of_several_calls_of_setjmp(call: Callable[..., int]) -> None:
    assert [call("nested", which) for which in (0, 1, 2)] == [2, 1, 1]


def test_a_jump_passes_functions_that_called_setjmp_for_themselves(call: Callable[..., int]) -> None:
    assert call("through_another_setjmp") == 20


def test_many_jumps_leave_the_stack_as_it_was(library: Library) -> None:
    guest = library.open(hosts=visitor(lambda n: n))
    before = guest.stack_pointer()
    assert guest.function("retries")(100_000) == 100_001
    for _ in range(2000):
        guest.function("jump")(300, 1)
    assert guest.stack_pointer() == before


def test_a_jump_without_setjmp_is_an_error_and_not_a_crash(library: Library) -> None:
    guest = library.open(hosts=visitor(lambda n: n))
    with pytest.raises(BridgeError):
        guest.function("throw_back")(3)
    assert guest.dead is not None
    assert library.open(hosts=visitor(lambda n: n)).function("normal")() == 5


def test_a_jump_does_not_cross_the_host(library: Library) -> None:
    guest = library.open(hosts=visitor(lambda n: guest.function("throw_back")(n) or 0))
    with pytest.raises(BridgeError):
        guest.function("over_the_host")(3)
    assert guest.dead is not None


def test_without_the_feature_the_compiler_says_what_is_missing(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    project.write("jump.c", SOURCE).write("jump.h", HEADER)
    project.configure('sources = ["jump.c"]\nheaders = ["jump.h"]')
    with pytest.raises(BuildError, match=r"compiling jump\.c failed"):
        project.build()
    assert "setjmp" in capfd.readouterr().err.lower()


def test_a_module_with_jumps_can_be_limited_and_snapshotted(library: Library) -> None:
    with library.open(Policy(deadline=60.0), hosts=visitor(lambda n: n)) as guest:
        assert guest.lib.jump(3, 7) == 4007
        snapshot = guest.snapshot()
        assert guest.lib.retries(10) == 11
        guest.restore(snapshot)
        assert guest.lib.nested(1) == 1
