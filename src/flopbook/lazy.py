"""Let packages export names of their modules, and import modules at first use.

So a page that only counts does not import the report, and the page's kept results do not depend on the report.
"""

import ast
import sys
from collections.abc import Callable
from importlib import import_module
from inspect import getsource
from typing import TypeGuard


def exports_of(source: str) -> dict[str, str]:
    """Read the module of each name off a package's ``if TYPE_CHECKING:`` block.

    Parameters
    ----------
    source : str
        The text of the package's ``__init__.py``.

    Examples
    --------
    >>> exports_of("if TYPE_CHECKING:\\n    from flopbook.predict.axes import B, D")
    {'B': 'flopbook.predict.axes', 'D': 'flopbook.predict.axes'}
    """
    blocks = (node.body for node in ast.parse(source).body if is_for_type_checkers(node))
    imports = (node for block in blocks for node in block if isinstance(node, ast.ImportFrom))
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def is_for_type_checkers(node: ast.AST) -> TypeGuard[ast.If]:
    """Tell whether a statement is an ``if TYPE_CHECKING:`` block, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def export_lazily(package: str) -> tuple[Callable[[str], object], Callable[[], list[str]], list[str]]:
    """Make the ``__getattr__``, ``__dir__`` and ``__all__`` of a package that exports names of its modules.

    The names and their modules stand once, in the ``if TYPE_CHECKING:`` block of the package, where type checkers
    and the cache of pages read them too.

    Parameters
    ----------
    package : str
        The package's ``__name__``.

    Examples
    --------
    >>> import flopbook.predict
    >>> flopbook.predict.__all__[:3], flopbook.predict.B
    (['B', 'C', 'D'], B)
    """
    module = sys.modules[package]
    modules = exports_of(getsource(module))

    def get(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(modules[name]), name)
        setattr(module, name, value)
        return value

    return get, lambda: sorted({*vars(module), *modules}), sorted(modules)
