"""The clients of all services, as dlt's configuration describes them."""

from pathlib import Path
from typing import Final

import dlt
from dlt.common.configuration import with_config
from dlt.common.configuration.exceptions import ConfigurationValueError
from dlt.common.typing import TSecretStrValue

from pipelines.network.connect import Login, Network, connect

WORKERS: Final = 8
"""Requests under way at once: enough for ten a second at 300 ms of latency; `extract.workers` is set to the same."""


def login_from(handle: str | None, app_password: str | None, service: str) -> Login | None:
    """Give the account to ask as, if the settings name one.

    Raises:
        ValueError: They name half of one.
    """
    if bool(handle) != bool(app_password):
        raise ValueError("a log-in takes both handle and app_password")
    if not (handle and app_password):
        return None
    return Login(handle, app_password, Path(dlt.current.run_context().data_dir, "bluesky_session.json"), service)


@with_config(sections=("sources", "bluesky"))
def configured_network(
    *,
    service: str = dlt.config.value,
    requests_per_second: float = dlt.config.value,
    handle: str | None = None,
    app_password: TSecretStrValue | None = None,
    login_service: str = dlt.config.value,
    contact: str | None = None,
    plc_directory: str = dlt.config.value,
    short_link_service: str = dlt.config.value,
    inside_hosts: list[str] | None = None,
) -> Network:
    """Make the clients of the source `bluesky`, for who asks without it; the arguments are the source's.

    Raises:
        ConfigurationValueError: A setting has a value that cannot be used.
    """
    try:
        return connect(
            service,
            requests_per_second,
            login=login_from(handle, app_password, login_service),
            contact=contact,
            plc_directory=plc_directory,
            short_links=short_link_service,
            inside_hosts=inside_hosts or (),
            max_connections=WORKERS,
        )
    except ValueError as error:
        raise ConfigurationValueError(f"[sources.bluesky]: {error}") from error
