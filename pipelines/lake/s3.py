"""S3 and its like, for keys that may read and write the objects of one bucket and nothing else."""

from __future__ import annotations

from typing import Any, Final

from s3fs import S3FileSystem

_IS_THERE: Final = ("PreconditionFailed", "ConditionalRequestConflict", "412")
_NO_CONDITIONS: Final = ("NotImplemented", "501")


class ExistingBucketFileSystem(S3FileSystem):  # type: ignore[misc]
    """S3 in which a bucket is used as it is, never made.

    s3fs makes a bucket that it cannot see. A typo in the name would begin a second, empty lake; and Cloudflare's tokens
    for objects, which may look at no bucket as such, would fail where there is nothing to be made
    (https://developers.cloudflare.com/r2/api/tokens/).
    """

    # s3fs tries five times, around botocore, which tries five times, and once more around both where it reads a file:
    # at 15 seconds each, a bucket that answers nothing would hold a job for half an hour a file.
    retries = 2

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: there are no folders in a bucket."""

    async def _pipe_file(self, path: str, data: bytes, *args: Any, mode: str = "overwrite", **kwargs: Any) -> Any:
        try:
            return await super()._pipe_file(path, data, *args, mode=mode, **kwargs)
        except OSError as error:
            # s3fs knows only AWS's own answer to a file that is to be made and is there.
            code = getattr(error.__cause__, "response", {}).get("Error", {}).get("Code")
            if mode == "create" and code in _IS_THERE:
                raise FileExistsError(path) from error
            if mode == "create" and code in _NO_CONDITIONS:
                return await super()._pipe_file(path, data, *args, **kwargs)
            raise
