"""Makes ``import pyexpat`` mean wasexpat in a process and in its children: a ``.pth`` file imports this.

``xml.parsers.expat`` is the stdlib's own, which takes everything from ``pyexpat``.
"""

from __future__ import annotations

import sys

from alias import Alias

sys.meta_path.insert(0, Alias({"pyexpat": "wasexpat"}))
