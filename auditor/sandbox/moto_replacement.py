"""Put a function in the place of one of moto's."""

from collections.abc import Callable
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])


def replaces(owner: type, name: str) -> Callable[[Function], Function]:
    """Make the decorated function the method `name` of `owner`, in this process."""

    def put(function: Function) -> Function:
        setattr(owner, name, function)
        return function

    return put
