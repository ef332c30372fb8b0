"""Settings that are arguments of Python: a name, a type and a default that are written there alone.

What a signature says becomes fields of a dataclass, in the few types that a command line and JSON
have; and what such a dataclass holds is passed on by name. So an argument that is added to a
function is a setting, in every place where settings are listed, checked and used.
"""

from __future__ import annotations

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Optional, TypeVar, Union

from geospot_gpu.config.schema import MISSING

T = TypeVar("T")

_NUMBERS = (bool, int, float)
_LISTS = (list, Iterable, Sequence)


class Settings:
    """A group of settings. Which ones, signatures say, and so nobody but Python itself knows."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """A setting."""


class _Argument(NamedTuple):
    name: str
    kind: Any
    default: Any


def with_arguments_of(
    *functions: Callable[..., Any],
    without: Collection[str] = (),
    only: Collection[str] = (),
    optional: bool = False,
) -> Callable[[type[T]], type[T]]:
    """A dataclass of settings, and with it the arguments of functions or classes.

    Args:
        functions: whose arguments are settings. One of a name in several of them is one setting.
        without: names of arguments that are none, as they are no plain values or known elsewhere.
        only: names of the arguments that are, where most are not.
        optional: whether each may be left out, as it belongs to one of several functions alone.

    >>> def near(target: str, k: int = 10, *, tables: Mapping[str, bytes] | None = None) -> None:
    ...     "Finds what is near."
    >>> @with_arguments_of(near, without=["tables"])
    ... @dataclasses.dataclass
    ... class Near:
    ...     out: str = "here"
    >>> Near()
    Near(out='here', target='???', k=10)
    """

    def derived(schema: type[T]) -> type[T]:
        own = {field.name for field in dataclasses.fields(schema)}  # type: ignore[arg-type]
        found: dict[str, _Argument] = {}
        for function in functions:
            for argument in _arguments(function, {*own, *without}, only):
                if optional:
                    argument = argument._replace(
                        kind=Optional[argument.kind],  # noqa: UP045
                        default=None,
                    )
                if found.setdefault(argument.name, argument) != argument:
                    raise TypeError(f"{argument.name} is another setting in {function.__name__}")
        fields = [(name, kind, _field(default)) for name, kind, default in found.values()]
        namespace = {"__doc__": schema.__doc__, "__module__": schema.__module__}
        return dataclasses.make_dataclass(
            schema.__name__, fields, bases=(schema,), namespace=namespace
        )

    return derived


def arguments(
    settings: object, function: Callable[..., Any], without: Collection[str] = ()
) -> dict[str, Any]:
    """Those of the settings that a function or class takes, by name.

    Args:
        settings: a dataclass of them.
        function: what they are for.
        without: names of arguments that mean something else.

    >>> @dataclasses.dataclass
    ... class Text:
    ...     text: str = "a"
    ...     out: str = "here"
    >>> arguments(Text(), lambda text, k=3: None)
    {'text': 'a'}
    """
    taken = inspect.signature(function).parameters.keys() - set(without)
    return {name: value for name, value in vars(settings).items() if name in taken}


def _arguments(
    function: Callable[..., Any], without: Collection[str], only: Collection[str]
) -> Iterator[_Argument]:
    # A class may have the signature of its base, which is written in another module.
    init: Any = getattr(function, "__init__")  # noqa: B009
    written: Any = inspect.unwrap(init if isinstance(function, type) else function)
    for name, parameter in inspect.signature(function).parameters.items():
        if name in without or (only and name not in only):
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        kind = parameter.annotation
        if isinstance(kind, str):  # some names in a signature exist for type checkers alone
            kind = eval(kind, written.__globals__)
        plain, default = _plain(kind, f"{function.__name__}({name})"), parameter.default
        yield _Argument(name, plain, MISSING if default is parameter.empty else default)


def _plain(kind: Any, where: str) -> Any:
    """The type of a setting that becomes an argument of some type: what can be typed of it."""
    union = typing.get_origin(kind) in (Union, types.UnionType)
    parts = typing.get_args(kind) if union else (kind,)
    given = [part for part in parts if part is not type(None)]
    lists = [part for part in given if typing.get_origin(part) in _LISTS]
    mapping = any(typing.get_origin(part) is Mapping for part in given)
    found: Any
    if kind is Any or mapping or 0 < len(lists) < len(given):
        return Any  # in several forms
    if len(lists) == 1:
        (part,) = typing.get_args(lists[0])
        found = list[_plain(part, where)]  # type: ignore[misc]
    elif any(part is str or typing.get_origin(part) is Literal for part in given):
        found = str
    elif len(given) == 1 and given[0] in _NUMBERS:
        (found,) = given
    else:
        raise TypeError(f"{where}: is of no type that can be typed on a command line")
    return Optional[found] if len(given) < len(parts) else found  # noqa: UP045


def _field(default: Any) -> Any:
    """The default of a setting: what is immutable in Python may be a list here."""
    if isinstance(default, tuple):
        return dataclasses.field(default_factory=lambda: list(default))
    return dataclasses.field(default=default)
