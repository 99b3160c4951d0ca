"""S3 and its like, for keys that may read and write the objects of one bucket and nothing else."""

from __future__ import annotations

from s3fs import S3FileSystem


class ExistingBucketFileSystem(S3FileSystem):  # type: ignore[misc]
    """S3 in which a bucket is used as it is, never made.

    s3fs makes a bucket that it cannot see. A typo in the name would begin a second, empty lake; and Cloudflare's tokens
    for objects, which may look at no bucket as such, would fail where there is nothing to be made
    (https://developers.cloudflare.com/r2/api/tokens/).
    """

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        """Do nothing: there are no folders in a bucket."""
