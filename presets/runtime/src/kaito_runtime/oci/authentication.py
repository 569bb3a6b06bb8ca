"""Answers a registry's challenge: Basic, or Bearer with a token that its authorization server gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import requests

from .credentials import Credential
from .errors import Denied, Unavailable

_CLIENT = "kaito-runtime"
_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*(?:"([^"]*)"|([^\s,"]+))')
TOKEN_TIMEOUT_SECONDS = (10, 30)


def keep_header(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """As `auth` of a request: keeps requests from putting credentials of a .netrc file into it."""
    return request


@dataclass(frozen=True)
class Challenge:
    scheme: str
    realm: str | None
    service: str | None
    scope: str | None

    @staticmethod
    def parse(header: str) -> Challenge:
        scheme, _, rest = header.strip().partition(" ")
        values = {match[1].lower(): match[2] or match[3] or "" for match in _PARAMETER.finditer(rest)}
        return Challenge(scheme.lower(), values.get("realm"), values.get("service"), values.get("scope"))


class Authentication:
    """What is sent as Authorization to one registry; a token is kept until the registry asks for another."""

    def __init__(self, session: requests.Session, credential: Credential, *, insecure: bool) -> None:
        self._session = session
        self._credential = credential
        self._insecure = insecure
        self.header: str | None = f"Bearer {credential.registry_token}" if credential.registry_token else None

    def answer(self, challenge_header: str) -> bool:
        """Takes a challenge; whether there is now another answer than the one that was refused.

        Raises Denied when the authorization server refuses the credential, Unavailable when it doesn't answer.
        """
        before = self.header
        challenge = Challenge.parse(challenge_header)
        if challenge.scheme == "basic" and self._credential.basic is not None:
            self.header = f"Basic {self._credential.basic}"
        elif challenge.scheme == "bearer" and challenge.realm and self._credential.registry_token is None:
            self.header = f"Bearer {self._token(challenge, challenge.realm)}"
        return self.header != before

    def _token(self, challenge: Challenge, realm: str) -> str:
        if urlsplit(realm).scheme != "https" and not self._insecure:
            raise Denied(f"its authorization server {urlsplit(realm).hostname} is not spoken to over https")
        asked = {"service": challenge.service, "scope": challenge.scope}
        parameters = {key: value for key, value in asked.items() if value}
        headers: dict[str, str] = {}
        send: dict[str, Any]
        if self._credential.identity_token is not None:
            form = {
                "grant_type": "refresh_token",
                "refresh_token": self._credential.identity_token,
                "client_id": _CLIENT,
            }
            send = {"method": "POST", "data": {**parameters, **form}}
        else:
            if self._credential.basic is not None:
                headers["Authorization"] = f"Basic {self._credential.basic}"
            send = {"method": "GET", "params": parameters}
        try:
            response = self._session.request(
                url=realm, headers=headers, auth=keep_header, timeout=TOKEN_TIMEOUT_SECONDS, **send
            )
        except requests.RequestException as error:
            raise Unavailable(f"its authorization server did not answer ({type(error).__name__})") from error
        if response.status_code == 429 or response.status_code >= 500:
            raise Unavailable(f"its authorization server answered {response.status_code}")
        if response.status_code != 200:
            raise Denied(f"its authorization server answered {response.status_code}")
        try:
            body = response.json()
            token = body.get("token") or body.get("access_token")
        except (ValueError, AttributeError) as error:
            raise Unavailable("its authorization server answered something that is not JSON") from error
        if not token:
            raise Denied("its authorization server gave no token")
        return str(token)
