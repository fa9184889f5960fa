"""Support for `typing.TypedDict` on Python 3.11, where pydantic only accepts that of typing_extensions.

pydantic (2.14, _internal/_generate_schema.py, `_typed_dict_schema`) needs the bases of the class, which
`typing.TypedDict` only stores since Python 3.12. The twin built here has the fields of all bases, and needs no base.
"""

from __future__ import annotations

import sys
import types
import typing
from typing import Annotated, Any, Generic, Literal, Union, get_args, get_origin

import typing_extensions

NEEDED = sys.version_info < (3, 12)

#: Attributes that are not copied to the twin: it has its own.
_OWN = frozenset({"__annotations__", "__dict__", "__weakref__", "__orig_bases__", "__parameters__"})

#: One twin for each class: a schema that refers to two twins of one class would give both long names.
_twins: dict[type, Any] = {}


def servable(hint: Any) -> Any:
    """Return the hint with a twin for each `typing.TypedDict` that pydantic would refuse, at any depth.

    Raises:
        NameError: a field's hint can't be resolved.
    """
    if not NEEDED:
        return hint
    try:
        return _replaced(hint)
    except BaseException:
        _twins.clear()  # one of them may lack its fields
        raise


def _replaced(hint: Any) -> Any:
    if _is_refused(hint):
        return _twins.get(hint) or _twin(hint)
    origin, args = get_origin(hint), get_args(hint)
    if origin is None or origin is Literal:
        return hint
    if origin is Annotated:
        return Annotated[(_replaced(args[0]), *args[1:])]
    parts = tuple(_replaced(arg) for arg in args)
    if _is_refused(origin):
        return _replaced(origin)[parts]
    if parts == args:
        return hint
    if origin in (Union, types.UnionType):
        return Union[parts]  # noqa: UP007 (the parts are one tuple)
    if isinstance(hint, types.GenericAlias):
        return types.GenericAlias(origin, parts)
    return hint.copy_with(parts)


def _is_refused(hint: Any) -> bool:
    return typing.is_typeddict(hint) and type(hint).__module__ == "typing"


def _twin(original: Any) -> Any:
    generic: Any = Generic
    parameters = getattr(original, "__parameters__", ())
    bases: list[Any] = [typing_extensions.TypedDict, *([generic[parameters]] if parameters else [])]
    twin: Any = types.new_class(original.__name__, bases)
    for name, value in vars(original).items():
        if name not in _OWN:
            setattr(twin, name, value)
    # Registered before its fields are built, since a field may have the same type.
    _twins[original] = twin
    hints = typing.get_type_hints(original, include_extras=True)
    twin.__annotations__ = {name: _replaced(hint) for name, hint in hints.items()}
    return twin
