"""What a user reads where a bucket fails in the middle of a run: one line that says what to do."""

from __future__ import annotations

import pytest
from azure.core.exceptions import HttpResponseError
from botocore.exceptions import ClientError, ReadTimeoutError
from dlt.load.exceptions import LoadClientJobRetry
from fsspec.exceptions import FSTimeoutError
from s3fs.errors import translate_boto_error

from pipelines.explain import explain


def s3_error(code: str, status: int) -> Exception:
    answer = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    error: Exception = translate_boto_error(ClientError(answer, "PutObject"))
    return error


def azure_error(status: int) -> Exception:
    error = HttpResponseError("words")
    error.status_code = status
    return error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (s3_error("503", 503), "run again later"),
        (s3_error("SlowDown", 503), "run again later"),
        (s3_error("ServiceUnavailable", 503), "run again later"),
        (s3_error("InternalError", 500), "run again later"),
        (s3_error("500", 500), "run again later"),
        (s3_error("502", 502), "run again later"),
        (s3_error("TooManyRequests", 429), "run again later"),
        (s3_error("AccessDenied", 403), "secrets.toml"),
        (s3_error("403", 403), "secrets.toml"),
        (azure_error(503), "run again later"),
        (azure_error(403), "secrets.toml"),
        (ReadTimeoutError(endpoint_url="https://bucket"), "endpoint_url"),
        (FSTimeoutError(), "does not answer"),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_dlts", [False, True])
def test_a_bucket_that_fails_is_one_line(error: Exception, told: str, is_dlts: bool) -> None:
    raised = LoadClientJobRetry("1", "2", 5, 5, "words", error) if is_dlts else error
    said = explain(raised)
    assert said is not None
    assert told in said
    assert "\n" not in said
