"""A guest with lanes, for test_lanes.py and the process that it storms."""

from __future__ import annotations

from wasqlite.bridge import HostFunction

# `call(lane, n)` puts n at 8 and -1 at 16, resumes the lane, and returns what stands at 16, or -2 if it is under way.
WAT = """
(module
  (import "host" "plain" (func $plain (param i32) (result i32)))
  (import "host" "lane" (func $lane (param i32) (result i32)))
  (import "host" "bare" (func $bare))
  (memory (export "memory") 1)
  (global $sp (export "__stack_pointer") (mut i32) (i32.const 60000))
  (func $call (export "call") (param i32 i64) (result i64) (local i64)
    (global.set $sp (i32.sub (global.get $sp) (i32.const 64)))
    (i64.store (i32.const 8) (local.get 1))
    (i64.store (i32.const 16) (i64.const -1))
    (local.set 2 (if (result i64) (call $lane (local.get 0))
      (then (i64.load (i32.const 16))) (else (i64.const -2))))
    (i64.store (i32.const 16) (i64.const -1))
    (global.set $sp (i32.add (global.get $sp) (i32.const 64)))
    (local.get 2))
  (func (export "sum") (param i32 i64) (result i64) (local i64)
    (loop $again
      (local.set 2 (i64.add (local.get 2) (call $call (local.get 0) (local.get 1))))
      (br_if $again (i64.ne (local.tee 1 (i64.sub (local.get 1) (i64.const 1))) (i64.const 0))))
    (local.get 2))
  (func (export "both") (param i32) (result i32)
    (call $bare)
    (i32.add (call $plain (i32.const 20)) (i32.wrap_i64 (call $call (local.get 0) (i64.const 3)))))
  (func (export "trap") (param i32) (drop (call $call (local.get 0) (i64.const 1))) unreachable)
)
"""


def lane(words, state, parked, work):
    while True:
        try:
            while True:
                try:
                    while True:
                        try:
                            while True:
                                try:
                                    yield
                                except GeneratorExit:
                                    return
                                number = words[1]
                                state.reentrant = True
                                answer = work(number)
                                state.reentrant = False
                                words[2] = answer
                        except BaseException as error:
                            state.reentrant = False
                            parked += [error]
                except BaseException as error:
                    parked += [error]
        except BaseException as error:
            parked += [error]


def functions(memory):
    return [
        HostFunction("host", "bare", "", "", lambda: None, bare=True),
        HostFunction("host", "lane", "i", "i", None, bare=True, lanes=True),
        HostFunction("host", "plain", "i", "i", lambda n: n + 1, 0),
    ]


def put(instance, number, work):
    generator = lane(instance.memory.pin(0, 64, "q"), instance.state, instance.parked, work)
    next(generator)
    instance.lanes.put(number, generator)
