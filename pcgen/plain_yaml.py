"""What YAML (and so JSON) says, in time and memory that its length bounds.

A name for a value (``&a``, ``*a``) lets a text of a few lines stand for more values than any
machine holds, or for one that contains itself (so that it is nested without end); each use of a
name counts here as what it stands for.
"""

from __future__ import annotations

from typing import Any

from yaml import MappingNode, Node, SafeLoader, ScalarNode, YAMLError

from pcgen.bounds import DEPTH, VALUES, leaves
from pcgen.errors import FileError


def parse_yaml(text: str) -> Any:
    """The value of the only document in a text; None where there is none.

    Raises:
        ValueError: it is no YAML of plain values, is nested too deep, or has too many values.
    """
    try:
        loader = _Loader(text)
        try:
            value = loader.get_single_data()
        finally:
            loader.dispose()
        for each in leaves(value, "aliases"):
            if isinstance(each, int) and abs(each) >= 2**64:
                raise ValueError("a whole number of more than 64 bits")
        return value
    except (YAMLError, FileError) as error:
        raise ValueError(str(error)) from error
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError) as error:
        # PyYAML's constructors expect of "!!int" and its like that the text fits.
        raise ValueError(f"a value is not what its tag says ({type(error).__name__})") from error


class _Loader(SafeLoader):
    """Counts values with all repetitions, before any of them is made."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._sizes: dict[int, int] = {}
        self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """The next value; one that a name stands for is there already."""
        # PyYAML needs a time that grows with the square of the depth.
        self._depth += 1
        if self._depth > DEPTH:
            raise YAMLError(f"values are nested deeper than {DEPTH} times")
        node: Node | None = super().compose_node(parent, index)
        if node is not None and id(node) not in self._sizes:
            self._sizes[id(node)] = self._size(node)
        self._depth -= 1
        return node

    def _size(self, node: Node) -> int:
        if isinstance(node, ScalarNode):
            return 1
        inner = node.value
        if isinstance(node, MappingNode):
            inner = [each for pair in inner for each in pair]
        size = 1 + sum(self._sizes.get(id(each), 0) for each in inner)
        VALUES.check(size, "aliases")
        return size
