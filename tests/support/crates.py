"""The validator of the RO-Crate community, without a network."""

from __future__ import annotations

import io
import socket
from pathlib import Path

import requests
import rocrate
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from rocrate_validator import models, services
from urllib3 import HTTPResponse

__all__ = ["cached", "issues"]


class Bundled(BaseAdapter):
    """Answers with the JSON-LD context that the library rocrate brings along."""

    def send(self, request, **_):
        body = (Path(rocrate.__file__).parent / "data" / "ro-crate.jsonld").read_bytes()
        kind = {"Content-Type": "application/ld+json"}
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers.update(kind)
        response.raw = HTTPResponse(io.BytesIO(body), headers=kind, status=200, preload_content=False)
        return response

    def close(self):
        pass


def cached(path: Path) -> Path:
    """The one document that the validator fetches, in the form in which it keeps what it has fetched."""
    with CachedSession(str(path), backend="sqlite", expire_after=-1) as session:
        session.mount("https://", Bundled())
        for accept in ({}, {"Accept": "application/ld+json, application/json"}):
            session.get("https://w3id.org/ro/crate/1.3/context", headers=accept)
    return path


def issues(folder: Path, profile: str, severity: str, cache: Path, monkeypatch) -> set[str]:
    def refuse(*_, **__):
        raise AssertionError("the validator wanted the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    settings = services.ValidationSettings(
        rocrate_uri=str(folder),
        profile_identifier=profile,
        requirement_severity=models.Severity[severity],
        offline=True,
        cache_path=cache,
    )
    return {f"{issue.check.identifier}: {issue.message}" for issue in services.validate(settings).get_issues()}
