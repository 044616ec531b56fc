"""Whether Dagster's inside is still what our code was written against.

Where we override or repeat private parts of Dagster, we keep a hash of their source: with another release the stock
behaviour is used instead. Which parts those are belongs to the module that relies on them.
"""

import hashlib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def fingerprint(relied_on: Mapping[Any, Sequence[str]], *, also: Iterable[str] = ()) -> str:
    """A hash of the source of some of a class's methods, or a module's functions; empty if one cannot be read.

    Args:
        relied_on: Classes and modules, and the names in them.
        also: Other things that shall not have changed, as words.
    """
    try:
        sources = [inspect.getsource(getattr(owner, name)) for owner, names in relied_on.items() for name in names]
    except (AttributeError, OSError):
        return ""
    return hashlib.sha256("\n".join([*sources, *also]).encode()).hexdigest()[:16]
