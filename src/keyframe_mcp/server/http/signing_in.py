"""Finding out who asks, from the bearer token of a request."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from mcp.server.auth.middleware.bearer_auth import BearerAuthBackend, RequireAuthMiddleware
from mcp.server.auth.provider import AccessToken, TokenVerifier
from mcp.server.auth.routes import build_resource_metadata_url, cors_middleware
from pydantic import AnyHttpUrl
from starlette.authentication import AuthenticationError
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from keyframe_mcp.server.http.access import METADATA, Access
from keyframe_mcp.settings.tokens import owner_of

log = logging.getLogger(__name__)


class Refused(AuthenticationError):
    """A token that lets nobody in. The text is for whoever sent it."""


class CannotTell(AuthenticationError):
    """The keys that tokens are checked with cannot be had now. The token may be good."""


class Verifier(TokenVerifier):
    """Our own tokens first, then what the issuer signed."""

    def __init__(self, access: Access, signed: TokenVerifier | None) -> None:
        self._access = access
        self._signed = signed

    async def verify_token(self, token: str) -> AccessToken:
        """Who holds it. Raises `Refused`, `CannotTell`."""
        owner = owner_of(token, self._access.tokens) if token.isascii() else None
        if owner is not None:
            scopes = list(self._access.oauth.scopes) if self._access.oauth else []
            return AccessToken(token=token, client_id=owner, subject=owner, scopes=scopes)
        signed = await self._signed.verify_token(token) if self._signed is not None and token.isascii() else None
        if signed is None:
            log.info("a token was refused")
            raise Refused("the token is not one this server knows, or it has ended")
        return signed


def guarded(app: ASGIApp, access: Access, signed: TokenVerifier | None) -> ASGIApp:
    """An application for those who have a token, or for everybody where none is asked for."""
    if access.is_open:
        return app
    scopes = list(access.oauth.scopes) if access.oauth else []
    where = build_resource_metadata_url(resource_of(access)) if access.oauth else None
    required, backend = RequireAuthMiddleware(app, scopes, where), BearerAuthBackend(Verifier(access, signed))
    return AuthenticationMiddleware(required, backend, on_error=partial(kept_out, where))


def kept_out(where: AnyHttpUrl | None, connection: HTTPConnection, error: Exception) -> Response:
    """The answer to a token that is not good, or cannot be looked at now. `where` says who gives out others."""
    del connection
    if isinstance(error, CannotTell):
        body = {"error": "temporarily_unavailable", "error_description": str(error)}
        return JSONResponse(body, 503, {"Retry-After": "10"})
    metadata = f', resource_metadata="{where}"' if where else ""
    challenge = f'Bearer error="invalid_token", error_description="{error}"{metadata}'
    return JSONResponse(
        {"error": "invalid_token", "error_description": str(error)}, 401, {"WWW-Authenticate": challenge}
    )


def metadata_routes(access: Access) -> Sequence[BaseRoute]:
    """Where a client reads who gives out tokens for this server (RFC 9728), under both of its customary addresses."""
    if access.oauth is None:
        return ()
    document = {
        "resource": f"{access.base_url}/mcp",
        # As in the issuer's own description: clients compare the two as texts, and a slash more is another issuer.
        "authorization_servers": [access.oauth.issuer],
        **({"scopes_supported": list(access.oauth.scopes)} if access.oauth.scopes else {}),
        "bearer_methods_supported": ["header"],
        "resource_name": "Keyframe MCP",
    }

    async def describe(_: Request) -> Response:
        return JSONResponse(document, headers={"Cache-Control": "public, max-age=3600"})

    methods = ["GET", "OPTIONS"]
    paths = dict.fromkeys([str(build_resource_metadata_url(resource_of(access)).path), METADATA])
    return [Route(path, cors_middleware(describe, methods), methods=methods) for path in paths]


def resource_of(access: Access) -> AnyHttpUrl:
    """What tokens are made for: the address of the tools."""
    return AnyHttpUrl(f"{access.base_url}/mcp")
