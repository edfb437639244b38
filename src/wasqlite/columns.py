"""``Columns``: what the rows of one result have in common."""

from __future__ import annotations

Description = tuple[tuple[str, None, None, None, None, None, None], ...]


class Columns(dict[str, int]):
    """The description of a result, and the position of each name in it.

    A name is found whatever the case of its letters if it is all ASCII; of several equal names the first one counts.
    Filled when it is first asked; other spellings than the lower-case one are added as they are asked for.
    """

    __slots__ = ("description",)

    def __init__(self, description: Description | None) -> None:
        self.description = description

    def __missing__(self, name: str) -> int:
        if not self:
            for position, column in enumerate(self.description or ()):
                self.setdefault(_folded(column[0]), position)
        found = self.get(_folded(name))
        if found is None:
            raise IndexError("No item with that key")
        self[name] = found
        return found


def _folded(name: str) -> str:
    return name.lower() if name.isascii() else name
