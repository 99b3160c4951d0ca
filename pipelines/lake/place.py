"""Where the lake is: worked out from the settings once, for whoever writes into it and whoever reads it."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import unquote, urlsplit

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers.provider import ConfigProvider
from dlt.common.configuration.specs.base_configuration import is_secret_hint
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.run_context import active
from dlt.common.storages import FilesystemConfiguration
from dlt.common.typing import TSecretStrValue

if TYPE_CHECKING:
    from collections.abc import Sequence

LAKES: Final = "a lake is in a folder, or in a bucket of s3://, az:// or abfss://"
"""Where dlt can write and DuckDB can read."""

_BUCKETS: Final = ("s3", "az", "abfss")
_AROUND: Final = " \t\r\n\f\v\u00a0\u200b\ufeff"
_QUOTES: Final = "'\"`“”‘’"  # noqa: RUF001  (editors put the curly ones there)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# dlt looks for its own state with the place as a part of a pattern, and DuckDB's patterns cannot escape a backslash.
PATTERN: Final = re.compile(r"[*?\[\\]" if os.sep == "/" else r"[*?\[]")


class PlaceError(ValueError):
    """A setting names no place that can be written to and read from. The message says what to write instead."""


def place_from(bucket_url: str) -> str:
    """Turn the setting into what dlt, s3fs and DuckDB understand alike.

    They read percent signs, `~`, `#`, patterns and slashes at the end each in a way of their own, so that none of that
    is left to them: a folder becomes an absolute path, a bucket's URL is one that means to all what it says.

    Args:
        bucket_url: As the user wrote it. A relative path starts at the project's root, `~` is the home folder.

    Raises:
        PlaceError: It is no place, or one of which they would disagree.
    """
    if not bucket_url:
        raise PlaceError(f"bucket_url in [destination.filesystem] is empty: {LAKES}.")
    if bucket_url[0] in _QUOTES and bucket_url[-1] in _QUOTES:
        bare = bucket_url.strip(_QUOTES + _AROUND)
        raise PlaceError(f"bucket_url has quotes around it, as a part of its value: write {bare} without them.")
    if _CONTROL.search(bucket_url):
        raise PlaceError(f"bucket_url is {bucket_url!r}: write it in one line, without control characters.")
    try:
        bucket_url.encode()
    except UnicodeEncodeError as error:
        raise PlaceError(f"bucket_url is {bucket_url!r}: write a name that is UTF-8.") from error
    scheme = "" if Path(bucket_url).is_absolute() else urlsplit(bucket_url).scheme
    if not scheme:
        return _without_patterns(_folder(bucket_url))
    if scheme == "file":
        return _without_patterns(_folder_of_url(bucket_url))
    if scheme not in _BUCKETS:
        named = f"bucket_url in [destination.filesystem] cannot be used (its protocol is {scheme}): {LAKES}."
        raise PlaceError(named if "://" in bucket_url else f"{named} A folder of that name is ./{bucket_url}.")
    return _without_patterns(_bucket(scheme, bucket_url))


def _folder(path: str) -> str:
    try:
        home = Path(path).expanduser()
    except RuntimeError as error:
        raise PlaceError(f"bucket_url is {path}, and nobody here has that home folder: write ./{path}.") from error
    return os.path.normpath(Path(active().local_dir).absolute() / home)


def _folder_of_url(url: str) -> str:
    parts = urlsplit(url)
    path = unquote(parts.path)
    if parts.netloc or not parts.path.startswith("/"):
        raise PlaceError(f"bucket_url is {url}: write file:/// and the whole path, or the path alone.")
    if "#" in url or "?" in url or "\ufffd" in path or _CONTROL.search(path):
        raise PlaceError(f"bucket_url is {url}, which cuts the path or garbles it: write the path without file://.")
    return os.path.normpath(FilesystemConfiguration.make_local_path(url))


def _bucket(scheme: str, url: str) -> str:
    bucket, slash, prefix = url[len(scheme) + 1 :].removeprefix("//").rstrip("/").partition("/")
    folders = prefix.split("/") if slash else []
    if not bucket or not url[len(scheme) + 1 :].startswith("//"):
        raise PlaceError(f"bucket_url is {url}, which is no bucket: {LAKES}.")
    if any(folder in {"", ".", ".."} for folder in folders):
        clean = "/".join([f"{scheme}://{bucket}", *(folder for folder in folders if folder not in {"", ".", ".."})])
        raise PlaceError(f"bucket_url is {url}: a bucket knows neither empty folders nor `.` and `..`: write {clean}.")
    if "::" in url or (scheme != "s3" and re.search("[#%]", url)):
        raise PlaceError(f"bucket_url is {url}: dlt would take a part of it for something else: rename the folder.")
    return "/".join([f"{scheme}://{bucket}", *folders])


def _without_patterns(place: str) -> str:
    if PATTERN.search(place):
        raise PlaceError(
            f"The lake would be at {place}, which dlt and DuckDB take for a pattern of file names: "
            "in bucket_url, name a folder without * ? [ and backslash."
        )
    return place


def dataset_place(config: FilesystemConfiguration, dataset_name: str) -> str:
    """Say where a dataset's tables are: a folder, or the URL of one in a bucket, without a slash at its end.

    Args:
        config: As dlt resolved it, from `place_from`.
        dataset_name: As dlt writes it.

    Raises:
        PlaceError: Its endpoint names the bucket once more.
    """
    if config.is_local_filesystem:
        return str(Path(config.make_local_path(config.bucket_url)) / dataset_name)
    endpoint = str(getattr(config.credentials, "endpoint_url", None) or "")
    bucket = urlsplit(config.bucket_url).netloc
    if endpoint.endswith(f"/{bucket}") and urlsplit(endpoint).path:
        raise PlaceError(
            f"endpoint_url has the bucket behind it: write {endpoint.removesuffix(f'/{bucket}')}, and keep the bucket "
            f"in bucket_url alone."
        )
    return f"{config.bucket_url.rstrip('/')}/{dataset_name}"


def _endpoint_from(endpoint_url: str) -> str:
    bare = endpoint_url.strip(_QUOTES + _AROUND)
    if bare != endpoint_url:
        raise PlaceError(f"endpoint_url has quotes around it, as a part of its value: write {bare} without them.")
    if urlsplit(endpoint_url).scheme not in {"http", "https"} or not urlsplit(endpoint_url).netloc:
        bare = bare.rpartition("://")[2]
        raise PlaceError(f"endpoint_url is {endpoint_url}, which has no https:// in front: write https://{bare}.")
    return endpoint_url.rstrip("/")


class SettingsReadOnce(ConfigProvider):
    """One of dlt's providers of settings; what is read from it means the same to whoever asks.

    - White space around a setting, e.g. the newline that a secret was saved with, is no part of it.
    - `bucket_url` is a place, see `place_from`.
    - An endpoint and a region that AWS' own variables or profiles name count: botocore, which writes, goes by them,
      and DuckDB would not.
    - The environment's session token belongs to the environment's key, not to keys of the settings.
    """

    def __init__(self, provider: ConfigProvider) -> None:
        """Stand in for a provider."""
        self._provider = provider

    def get_value(self, key: str, hint: type[Any], pipeline_name: str | None, *sections: str) -> tuple[Any | None, str]:
        """Look a setting up."""
        plain = _plainly(hint)  # type: ignore[arg-type]  # Types can be hashed.
        value, name = self._provider.get_value(key, plain, pipeline_name, *sections)
        if isinstance(value, str):
            value = value.strip(_AROUND)
        if key == "aws_session_token" and name == "AWS_SESSION_TOKEN" and not _environment_has_the_key():
            value = None
        if isinstance(value, str) and key == "bucket_url":
            value = place_from(value)
        if isinstance(value, str) and key == "endpoint_url":
            value = _endpoint_from(value) if value else None
        return value, name

    def get_value_location(self, key: str, pipeline_name: str | None, *sections: str) -> str:
        """Say where a setting was found."""
        return self._provider.get_value_location(key, pipeline_name, *sections)

    def set_value(self, key: str, value: Any, pipeline_name: str | None, *sections: str) -> None:
        """Change a setting."""
        self._provider.set_value(key, value, pipeline_name, *sections)

    @property
    def name(self) -> str:
        """The provider's."""
        return self._provider.name

    @property
    def supports_secrets(self) -> bool:
        """The provider's."""
        return self._provider.supports_secrets

    @property
    def supports_sections(self) -> bool:
        """The provider's."""
        return self._provider.supports_sections

    @property
    def is_empty(self) -> bool:
        """The provider's."""
        return self._provider.is_empty

    @property
    def is_writable(self) -> bool:
        """The provider's."""
        return self._provider.is_writable

    @property
    def locations(self) -> Sequence[str]:
        """The provider's."""
        return self._provider.locations

    @property
    def present_locations(self) -> Sequence[str]:
        """The provider's."""
        return self._provider.present_locations

    def __getattr__(self, name: str) -> Any:
        """Give what only some providers have."""
        if name == "_provider":  # A copy is asked before it has one.
            raise AttributeError(name)
        return getattr(self._provider, name)


@cache
def _plainly(hint: type[Any]) -> Any:
    """Give a plain type that says whether a setting is secret, all that providers ask of its type.

    They take the type apart for it, at each of thousands of look-ups: a fifth of what a small night costs.
    """
    return TSecretStrValue if is_secret_hint(hint) else str


def _environment_has_the_key() -> bool:
    """Tell whether dlt takes the key from AWS' own variable: a setting with a section wins, also over files."""
    return "AWS_ACCESS_KEY_ID" in os.environ and not any(
        name.endswith("__AWS_ACCESS_KEY_ID") and value for name, value in os.environ.items()
    )


class AwsSettings(ConfigProvider):
    """What AWS' own variables and profiles say of endpoint and region, asked after all settings of dlt's."""

    def __init__(self, others: Sequence[ConfigProvider]) -> None:
        """Know the other providers: one of them may name the profile."""
        self._others = others

    def get_value(self, key: str, hint: type[Any], pipeline_name: str | None, *sections: str) -> tuple[Any | None, str]:
        """Look a setting of the lake's credentials up.

        dlt asks all providers for settings of this one pipeline first, and then for those of all: only then was the
        settings' own section looked up.
        """
        if (
            pipeline_name is not None
            or key not in {"endpoint_url", "region_name"}
            or sections[:1] != ("destination",)
            or "credentials" not in sections
        ):
            return None, key
        profile = None
        for provider in self._others:
            for known in (sections, sections[:1] + sections[-1:]):
                profile = profile or provider.get_value("profile_name", str, pipeline_name, *known)[0]
        return _of_aws(key, cast("str | None", profile)), key

    @property
    def name(self) -> str:
        """Its name in dlt's messages."""
        return "AWS profiles and variables"

    @property
    def supports_secrets(self) -> bool:
        """Whether it may hold what belongs to credentials: else dlt refuses it."""
        return True

    @property
    def supports_sections(self) -> bool:
        """Sections tell the lake's credentials from others."""
        return True


def _of_aws(key: str, profile: str | None) -> str | None:
    # Imported here: a lake in a folder needs none of it.
    import botocore.session  # noqa: PLC0415
    from botocore.exceptions import ProfileNotFound  # noqa: PLC0415

    session = botocore.session.Session(profile=profile)
    try:
        if key == "region_name":
            return cast("str | None", session.get_config_variable("region"))
        if session.get_config_variable("ignore_configured_endpoint_urls"):
            return None
        chosen = session.get_scoped_config()
        services = session.full_config.get("services", {}).get(chosen.get("services"), {})
    except ProfileNotFound as error:
        raise PlaceError(f"{error}. Correct profile_name or AWS_PROFILE, or add it to ~/.aws/config.") from error
    # In the order of https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html.
    named = (
        os.environ.get("AWS_ENDPOINT_URL_S3"),
        os.environ.get("AWS_ENDPOINT_URL"),
        services.get("s3", {}).get("endpoint_url"),
        chosen.get("endpoint_url"),
    )
    endpoint = next(filter(None, named), "").strip(_AROUND)
    return _endpoint_from(endpoint) if endpoint else None


def read_settings_once() -> None:
    """Put the providers of dlt's run context into ours. A new context has new ones."""
    providers = Container()[PluggableRunContext].providers
    known = [SettingsReadOnce(provider) for provider in providers.providers]
    providers.providers[:] = [*known, AwsSettings(known)]
