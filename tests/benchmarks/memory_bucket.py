"""A bucket in memory, of the few requests of S3 that the jobs make: lists of a hundred thousand names take no time."""

from __future__ import annotations

import hashlib
import re
import threading
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

from tests.local_server import LocalServer, QuietHandler

if TYPE_CHECKING:
    from collections.abc import Mapping

_PAGE: Final = 1_000
"""Names in one answer to a list, as S3 and R2 have it."""


class MemoryBucket(LocalServer):
    """An S3 server with one bucket, which checks no signature.

    Attributes:
        objects: The contents by key.
    """

    def __init__(self, bucket: str) -> None:
        self.objects: dict[str, bytes] = {}
        self._bucket = bucket
        self._sorted: list[str] = []
        self._lock = threading.Lock()
        memory = self

        class Handler(QuietHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                key = unquote(parts.path).removeprefix(f"/{bucket}").lstrip("/")
                query = {name: values[0] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
                with memory._lock:
                    status, headers, content = memory._answer(self.command, key, query, dict(self.headers), body)
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if "Content-Length" not in headers:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(content)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - as the base class wants them

        super().__init__(Handler)

    def _answer(
        self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        if method == "GET" and "list-type" in query:
            return 200, {"Content-Type": "application/xml"}, self._list(query).encode()
        if method == "PUT":
            if headers.get("If-None-Match") == "*" and key in self.objects:
                return 412, {}, b"<Error><Code>PreconditionFailed</Code></Error>"
            self.objects[key] = body
            return 200, {"ETag": _etag(body)}, b""
        if method == "POST":
            for gone in re.findall("<Key>(.*?)</Key>", body.decode()):
                self.objects.pop(gone, None)
            return 200, {}, b"<DeleteResult></DeleteResult>"
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        content = self.objects.get(key)
        if content is None:
            return 404, {}, b"<Error><Code>NoSuchKey</Code></Error>"
        return _content(content, headers.get("Range") if method == "GET" else None)

    def _list(self, query: Mapping[str, str]) -> str:
        if len(self._sorted) != len(self.objects):
            self._sorted = sorted(self.objects)
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        after, keys, folders = query.get("continuation-token", ""), list[str](), list[str]()
        at = bisect_right(self._sorted, after) if after else bisect_left(self._sorted, prefix)
        most = int(query.get("max-keys", _PAGE))
        while at < len(self._sorted) and self._sorted[at].startswith(prefix) and len(keys) + len(folders) < most:
            after = self._sorted[at]
            folder, found, _ = after.removeprefix(prefix).partition(delimiter) if delimiter else ("", "", "")
            if found:
                folders.append(f"{prefix}{folder}{delimiter}")
                after = f"{folders[-1]}\U0010ffff"
                at = bisect_right(self._sorted, after)
            else:
                keys.append(after)
                at += 1
        is_cut = at < len(self._sorted) and self._sorted[at].startswith(prefix)
        written = quote if query.get("encoding-type") == "url" else escape
        return "".join(
            [
                '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
                f"<Name>{self._bucket}</Name><IsTruncated>{str(is_cut).lower()}</IsTruncated>",
                "<EncodingType>url</EncodingType>" if query.get("encoding-type") == "url" else "",
                f"<NextContinuationToken>{escape(after)}</NextContinuationToken>" if is_cut else "",
                *(
                    f"<Contents><Key>{written(key)}</Key><Size>{len(self.objects[key])}</Size>"
                    f"<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
                    f"<ETag>{_etag(self.objects[key])}</ETag></Contents>"
                    for key in keys
                ),
                *(f"<CommonPrefixes><Prefix>{written(folder)}</Prefix></CommonPrefixes>" for folder in folders),
                "</ListBucketResult>",
            ]
        )


def _content(content: bytes, span: str | None) -> tuple[int, dict[str, str], bytes]:
    headers = {"ETag": _etag(content), "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "Accept-Ranges": "bytes"}
    if not span:
        return 200, headers | {"Content-Length": str(len(content))}, content
    first, _, last = span.removeprefix("bytes=").partition("-")
    begin = int(first) if first else max(0, len(content) - int(last))
    end = min(int(last), len(content) - 1) if first and last else len(content) - 1
    headers["Content-Range"] = f"bytes {begin}-{end}/{len(content)}"
    return 206, headers, content[begin : end + 1]


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
