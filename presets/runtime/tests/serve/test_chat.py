"""What the middleware passes on; that vLLM answers is in test_server.py."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from kaito_runtime.serve.chat import ChatMiddleware, Message, Receive, Scope, Send


class Application:
    """Answers every call with one completion, and notes what it was asked."""

    def __init__(self, answer: object, status: int = 200) -> None:
        self.answer = answer
        self.status = status
        self.scopes: list[Scope] = []
        self.bodies: list[Any] = []
        self.next_messages: list[Message] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scopes.append(scope)
        if scope["type"] == "http":
            message = await receive()
            self.bodies.append(json.loads(message["body"]) if message["body"] else None)
            self.next_messages.append(await receive())
            await send({"type": "http.response.start", "status": self.status, "headers": []})
            content = json.dumps(self.answer).encode()
            await send({"type": "http.response.body", "body": content[:3], "more_body": True})
            await send({"type": "http.response.body", "body": content[3:]})


COMPLETION = {"choices": [{"text": " world"}]}
BODY = b'{"prompt": "hello", "generate_kwargs": {"max_new_tokens": 3}}'


def call(application: Application, body: bytes = BODY, path: str = "/chat", **more: Any) -> tuple[int, Any]:
    incoming: list[Message] = [
        {"type": "http.request", "body": body[:5], "more_body": True},
        {"type": "http.request", "body": body[5:], "more_body": False},
        {"type": "http.disconnect"},
    ]
    sent: list[Message] = []

    async def receive() -> Message:
        return incoming.pop(0)

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"content-length", b"9"), (b"authorization", b"Bearer key"), (b"accept", b"text/html")]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers, "query_string": b"a=1", **more}
    asyncio.run(ChatMiddleware(application)(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], json.loads(content)


def test_asks_the_application_with_the_callers_key() -> None:
    application = Application(COMPLETION)
    assert call(application) == (200, {"Result": "hello world"})
    assert application.bodies == [{"prompt": "hello", "max_tokens": 3}]
    (scope,) = application.scopes
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == ("/v1/completions", b"/v1/completions", b"")
    headers = dict(scope["headers"])
    assert headers[b"authorization"] == b"Bearer key"
    assert headers[b"content-length"] == str(len(json.dumps(application.bodies[0]))).encode()
    assert b"accept" not in headers


def test_vllm_learns_when_the_client_goes_away() -> None:
    application = Application(COMPLETION)
    call(application)
    assert application.next_messages == [{"type": "http.disconnect"}]


def test_works_below_a_root_path() -> None:
    application = Application(COMPLETION)
    assert call(application, path="/serving/chat", root_path="/serving")[0] == 200
    assert application.scopes[0]["path"] == "/serving/v1/completions"


@pytest.mark.parametrize(
    ("answer", "detail"),
    [
        ({"error": {"message": "too long", "code": 400}}, "too long"),
        ({"detail": "too long"}, "too long"),
        ("Unauthorized", "Unauthorized"),
    ],
)
def test_a_refusal_of_vllm_is_passed_on(answer: object, detail: str) -> None:
    assert call(Application(answer, 429)) == (429, {"detail": detail})


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({"content": "yes", "reasoning": "hm"}, "yes"),
        ({"content": None, "reasoning": "hm"}, "hm"),
        ({"content": None}, ""),
    ],
)
def test_the_answer_to_messages_is_its_text(message: dict[str, Any], text: str) -> None:
    body = b'{"messages": [{"role": "user", "content": "?"}], "generate_kwargs": {"max_new_tokens": 3}}'
    assert call(Application({"choices": [{"message": message}]}), body) == (200, {"Result": text})


def test_prefix_stands_before_the_prompt() -> None:
    application = Application(COMPLETION)
    body = b'{"prompt": "hello", "prefix": "Say ", "generate_kwargs": {"max_new_tokens": 3}}'
    assert call(application, body) == (200, {"Result": "Say hello world"})


def test_everything_else_goes_straight_through() -> None:
    application = Application(COMPLETION)
    scopes: list[Scope] = [{"type": "lifespan"}, {"type": "websocket", "path": "/chat"}]

    async def never() -> Message:
        raise AssertionError

    async def nothing(_: Message) -> None:
        raise AssertionError

    for scope in scopes:
        asyncio.run(ChatMiddleware(application)(scope, never, nothing))
    assert application.scopes == scopes
    assert call(application, b"", "/chat/completions", method="GET") == (200, COMPLETION)
