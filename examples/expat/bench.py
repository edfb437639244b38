"""Throughput beside the stdlib's pyexpat: ``bench.py [MEGABYTES]`` prints ratios, native = 1.

CPU time of this process, the best of some runs of each, in turn. The document is made here: records with attributes,
text and mixed content, which is a tag, on average, for every thirty bytes.
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import pyexpat

import wasexpat

RUNS = 3
WORDS = ["sandbox", "compiler", "parser", "handler", "buffer", "memory", "driver", "stack", "signal", "wheel"]


def document(megabytes: float) -> bytes:
    """A catalogue of random entries, the same for each run."""
    choose = random.Random(1)
    parts = ["<?xml version='1.0' encoding='utf-8'?>\n<catalogue>\n"]
    size = 0
    while size < megabytes * 1e6:
        words = " ".join(choose.choices(WORDS, k=choose.randrange(5, 40)))
        number = choose.randrange(10**6)
        parts.append(
            f'  <entry id="e{number}" kind="{choose.choice(WORDS)}">\n    <title>{words[:40]}</title>\n'
            f"    <price currency='EUR'>{number / 100:.2f}</price>\n"
            f"    <text>{words} <em>{choose.choice(WORDS)}</em> &amp; größer</text>\n    <empty/>\n  </entry>\n"
        )
        size += len(parts[-1])
    return ("".join(parts) + "</catalogue>\n").encode()


def nothing(expat: ModuleType, parser: Any) -> None:
    """No handler: Expat alone."""


def elements(expat: ModuleType, parser: Any) -> None:
    """Handlers for elements that do nothing."""
    parser.StartElementHandler = lambda name, attributes: None
    parser.EndElementHandler = lambda name: None


def everything(expat: ModuleType, parser: Any) -> None:
    """Elements and text, collected."""
    elements(expat, parser)
    parser.buffer_text = True
    parser.CharacterDataHandler = lambda data: None


def tree(expat: ModuleType, parser: Any) -> None:
    """A program: it builds a tree of lists."""
    stack: list[list[Any]] = [[]]

    def start(name: str, attributes: dict[str, str]) -> None:
        element: list[Any] = [name, attributes]
        stack[-1].append(element)
        stack.append(element)

    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda name: stack.pop()
    parser.CharacterDataHandler = lambda data: stack[-1].append(data)


def seconds(expat: ModuleType, prepare: Callable[[ModuleType, Any], None], data: bytes) -> float:
    """CPU time of one parse."""
    parser = expat.ParserCreate()
    prepare(expat, parser)
    start = time.process_time()
    parser.Parse(data, True)
    return time.process_time() - start


def creation(expat: ModuleType, count: int) -> float:
    """CPU time of a small document with a parser of its own."""
    start = time.process_time()
    for _ in range(count):
        expat.ParserCreate().Parse(b"<a><b/></a>", True)
    return (time.process_time() - start) / count


def main() -> None:
    """Measure and print."""
    data = document(float(sys.argv[1]) if len(sys.argv) > 1 else 4)
    print(f"{len(data) / 1e6:.1f} MB; native {pyexpat.EXPAT_VERSION}, in the sandbox {wasexpat.EXPAT_VERSION}")
    print(f"{'':34}{'native':>10}{'sandbox':>10}{'ratio':>8}")
    for prepare in (nothing, elements, everything, tree):
        times: dict[str, float] = {}
        for _ in range(RUNS):
            for expat in (pyexpat, wasexpat):
                found = seconds(expat, prepare, data)
                times[expat.__name__] = min(found, times.get(expat.__name__, found))
        native, ours = times["pyexpat"], times["wasexpat"]
        rates = (len(data) / 1e6 / taken for taken in (native, ours))
        label = (prepare.__doc__ or "").rstrip(".")
        print(f"{label:34}" + "".join(f"{rate:5.0f} MB/s" for rate in rates) + f"{ours / native:8.1f}")
    native, ours = creation(pyexpat, 1000), creation(wasexpat, 100)
    print(f"{'A parser for a small document':34}{native * 1e6:7.0f} us{ours * 1e6:7.0f} us{ours / native:8.1f}")


if __name__ == "__main__":
    main()
