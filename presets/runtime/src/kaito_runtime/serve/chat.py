"""`POST /chat`, KAITO's first API, beside vLLM's own.

An ASGI middleware, which is how vLLM lets others add to its server (--middleware). A request becomes one to
/v1/completions or /v1/chat/completions of the same application, so that adapters, queueing, limits, keys and metrics
hold for it as for all others.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kaito_runtime.serve.generation import BadParameter, sampling, wants_count

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

NO_PROMPT = "Text generation parameter prompt required"


class ChatRequest(BaseModel):
    """Body of /chat. What nobody knows is refused, by name."""

    model_config = ConfigDict(extra="forbid")

    prompt: str | None = None
    messages: list[dict[str, Any]] | None = None
    return_full_text: bool = True
    generate_kwargs: dict[str, Any] | None = None
    model: str | None = None
    """Name of an adapter; the model itself without."""
    prefix: str | None = None
    """Put before the prompt."""
    clean_up_tokenization_spaces: bool = False
    """Without effect: text is exactly what the tokenizer makes of the tokens."""


class Refused(Exception):  # noqa: N818 - an answer
    def __init__(self, status: int, detail: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ChatMiddleware:
    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _path(scope) != "/chat":
            await self._app(scope, receive, send)
            return
        if scope["method"] != "POST":
            await _answer(send, 405, {"detail": "Method Not Allowed"}, [(b"allow", b"POST")])
            return
        try:
            text = await self._chat(scope, await _body(receive), receive)
        except Refused as refused:
            await _answer(send, refused.status, {"detail": refused.detail})
        else:
            await _answer(send, 200, {"Result": text})

    async def _chat(self, scope: Scope, body: bytes, receive: Receive) -> str:
        request = _parsed(body)
        model = {} if request.model is None else {"model": request.model}
        if request.messages is not None:
            given: dict[str, Any] = {"messages": request.messages, **model}
        elif request.prompt is not None:
            given = {"prompt": (request.prefix or "") + request.prompt, **model}
        else:
            raise Refused(400, NO_PROMPT)
        options = request.generate_kwargs or {}
        try:
            count = await self._count(scope, given, receive) if wants_count(options) else None
            parameters = sampling(options, count)
        except BadParameter as error:
            raise Refused(400, str(error)) from None
        if request.messages is not None:
            answer = await self._call(scope, "/v1/chat/completions", {**given, **parameters}, receive)
            message = answer["choices"][0]["message"]
            # A model that was cut short while it reasoned has said nothing else.
            return str(message.get("content") or message.get("reasoning") or message.get("reasoning_content") or "")
        answer = await self._call(scope, "/v1/completions", {**given, **parameters}, receive)
        completion = str(answer["choices"][0]["text"])
        return str(given["prompt"]) + completion if request.return_full_text else completion

    async def _count(self, scope: Scope, given: Mapping[str, Any], receive: Receive) -> tuple[int, int]:
        """Tokens of the prompt, and of the longest context."""
        answer = await self._call(scope, "/tokenize", given, receive)
        return int(answer["count"]), int(answer["max_model_len"])

    async def _call(self, scope: Scope, path: str, body: Mapping[str, Any], receive: Receive) -> dict[str, Any]:
        """Asks the application itself. Its refusals are the caller's, with their status."""
        content = json.dumps(body).encode()
        sent = False

        async def inner_receive() -> Message:
            nonlocal sent
            if sent:
                # vLLM waits here for the client's going away, to stop generating.
                return await receive()
            sent = True
            return {"type": "http.request", "body": content, "more_body": False}

        status = 500
        chunks: list[bytes] = []

        async def inner_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                chunks.append(message.get("body", b""))

        await self._app(_inner_scope(scope, path, len(content)), inner_receive, inner_send)
        answer = _json(b"".join(chunks))
        if status != 200:
            raise Refused(status, _detail(answer))
        return answer


def _parsed(body: bytes) -> ChatRequest:
    try:
        return ChatRequest.model_validate_json(body)
    except ValidationError as error:
        # The shape in which FastAPI tells the same.
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise Refused(422, [{**detail, "loc": ["body", *detail["loc"]]} for detail in details]) from None


def _path(scope: Scope) -> str:
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(root + "/") else path


def _inner_scope(scope: Scope, path: str, length: int) -> Scope:
    full = str(scope.get("root_path", "")) + path
    replaced = (b"content-length", b"content-type", b"transfer-encoding", b"accept-encoding", b"accept", b"expect")
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in replaced]
    headers += [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
    # `state` and `app` are shared; what routing notes into the scope must not be seen by the next call.
    return {**scope, "path": full, "raw_path": full.encode(), "query_string": b"", "headers": headers}


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Refused(499, "the client went away")
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except ValueError:
        answer = body.decode(errors="replace")
    return answer if isinstance(answer, dict) else {"detail": answer}


def _detail(answer: Mapping[str, Any]) -> object:
    """vLLM puts its message into `error`, FastAPI into `detail`."""
    error = answer.get("error", answer.get("detail", answer))
    return error.get("message", error) if isinstance(error, Mapping) else error


async def _answer(send: Send, status: int, body: object, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    content = json.dumps(body, ensure_ascii=False).encode()
    start = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode()), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": content})
