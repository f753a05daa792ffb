"""Faults in the answers of sources that speak JSON over HTTP."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import requests
import requests.adapters

from auditor.questions import Connection, Opening, Operation, Reply
from auditor.tasks import Context
from tests.fault_kinds import PORTAL, Exchange, Fault, key, mistype_json


class ClosableConnection(Connection, Protocol):
    """What a harness opens."""

    def close(self) -> None:
        """Let go of it."""
        ...


class HttpHarness:
    """Any source that asks through `Https`, over HTTP responses; `connect` opens it and never waits."""

    def __init__(
        self, connect: Callable[[Any, Opening], ClosableConnection], context: Context, target: str, shard: str
    ) -> None:
        settings = next(one.settings for one in context.settings.targets if one.id == target)
        self._adapter = requests.adapters.HTTPAdapter()
        self._kept: dict[str, list[Exchange]] = {}
        self._send: Callable[..., requests.Response] = self._adapter.send
        opening = Opening(
            shard=shard,
            secret=context.secret,
            conceal=lambda _: None,
            folder=context.settings.folder,
            transport=lambda request, **how: self._send(request, **how),  # noqa: PLW0108 - as above
        )
        self._connection = connect(settings, opening)

    def record(self, operation: Operation, params: Mapping[str, Any]) -> int:
        kept = self._kept.setdefault(key(operation.name, params), [])

        def send(request: requests.PreparedRequest, **how: Any) -> requests.Response:
            response = self._adapter.send(request, **how)
            kept.append(Exchange(response.status_code, dict(response.headers), response.content))
            return response

        self._send = send
        list(self._connection.ask(operation, params))
        return len(kept)

    def tampered(self, operation: Operation, params: Mapping[str, Any], page: int, fault: Fault) -> list[Reply] | None:
        kept = list(self._kept[key(operation.name, params)])
        changed = None if fault == "timeout" else change_json(kept[page], fault)
        if fault != "timeout" and changed is None:
            return None
        served = iter(range(len(kept)))

        def send(request: requests.PreparedRequest, **how: Any) -> requests.Response:
            del how
            index = next(served)
            if index == page and changed is None:
                raise requests.exceptions.ReadTimeout(request=request)
            return response_of(changed if index == page and changed is not None else kept[index])

        self._send = send
        return list(self._connection.ask(operation, params))

    def close(self) -> None:
        self._connection.close()
        self._adapter.close()


def response_of(exchange: Exchange) -> requests.Response:
    """Return what a requests adapter makes of an answer."""
    response = requests.Response()
    response.status_code = exchange.status
    response.headers.update(exchange.headers)
    response.raw = io.BytesIO(exchange.body)
    return response


def change_json(exchange: Exchange, fault: Fault) -> Exchange | None:
    headers = {name: value for name, value in exchange.headers.items() if name.lower() != "content-length"}
    if fault == "refuse":
        return Exchange(403, headers, b"[]" if exchange.body.startswith(b"[") else b"{}")
    if fault == "break":
        return Exchange(200, {**headers, "Content-Type": "text/html"}, PORTAL)
    if fault == "truncate":
        return Exchange(exchange.status, headers, exchange.body[: len(exchange.body) // 2])
    body = mistype_json(exchange.body, fault)
    return None if body is None else Exchange(exchange.status, headers, body)
