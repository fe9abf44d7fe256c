"""YAML of somebody's own hand, read within bounds: no aliases, no depth, nothing that a small file makes large.

An alias stands for a copy, and copies of copies are more than a machine holds, from a file of a few lines.
"""

from typing import Any

import yaml

DEEPEST = 32


def compose(written: bytes | str) -> yaml.Node | None:
    """Return the one document of a file as a tree, None for an empty file.

    Raises:
        yaml.YAMLError: it is no YAML, has an alias, or is nested more than 32 deep; with the place where it is known.
    """
    _refuse_bombs(written)
    node: yaml.Node | None = yaml.compose(written, Loader=yaml.SafeLoader)
    return node


def values(tree: yaml.Node) -> Any:
    """Return what a tree says.

    Raises:
        yaml.YAMLError: a value is not what its form promises, such as the 45th day of a month.
    """
    try:
        return yaml.SafeLoader("").construct_document(tree)
    except ValueError:
        problem = "a number or a date that cannot be read"
        raise yaml.constructor.ConstructorError(None, None, problem, tree.start_mark) from None


def load(written: bytes | str) -> Any:
    """Return what a file says, None for an empty one.

    Raises:
        yaml.YAMLError: as ``compose`` and ``values``.
    """
    tree = compose(written)
    return values(tree) if tree is not None else None


def _refuse_bombs(written: bytes | str) -> None:
    depth = 0
    for event in yaml.parse(written, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not read; write it out", _mark(event))
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise yaml.composer.ComposerError(None, None, "nested too deeply", _mark(event))


def _mark(event: Any) -> Any:
    return event.start_mark
