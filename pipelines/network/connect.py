"""The clients of all services that a pull asks, made from plain settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.network.appview import AppView
from pipelines.network.headers import user_agent
from pipelines.network.pacing import Pacer
from pipelines.network.repositories import PLC_DIRECTORY, Repositories
from pipelines.network.resolve import SHORT_LINKS
from pipelines.network.session import DEFAULT_SERVICE, Session

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


@dataclass(frozen=True)
class Network:
    """The services that a pull asks.

    Attributes:
        appview: Serves packs, lists, profiles and feeds.
        repositories: The servers of the accounts; they serve the records that the AppView hides.
        short_links: URL of the service that resolves the short links of packs.
    """

    appview: AppView
    repositories: Repositories
    short_links: str = SHORT_LINKS

    @property
    def request_count(self) -> int:
        """How many requests the AppView and the accounts' servers were sent so far."""
        return self.appview.stats.requests + self.repositories.stats.requests


@dataclass(frozen=True)
class Login:
    """An account to ask as.

    Attributes:
        handle: Handle, DID or email address of the account.
        app_password: An app password of the account.
        session_file: Where the session is kept between runs.
        service: URL of the service that logs the account in.
    """

    handle: str
    app_password: str
    session_file: Path
    service: str = DEFAULT_SERVICE

    def __repr__(self) -> str:
        return f"<Login of {self.handle} at {self.service}>"


def connect(
    service: str,
    requests_per_second: float,
    *,
    login: Login | None = None,
    contact: str | None = None,
    plc_directory: str = PLC_DIRECTORY,
    short_links: str = SHORT_LINKS,
    inside_hosts: Collection[str] = (),
    max_connections: int = 8,
) -> Network:
    """Make the clients. They send their first request when they are first asked for something.

    Args:
        service: URL of the AppView.
        requests_per_second: The pace that no service's client exceeds.
        login: The account to ask the AppView as; None to ask without one.
        contact: Address for the operators of the services; sent in the User-Agent.
        plc_directory: URL of the directory where a did:plc is looked up.
        short_links: URL of the service that resolves the short links of packs.
        inside_hosts: Members' servers that may be asked at an address inside, as `Repositories` takes them.
        max_connections: Requests under way at once to one service.

    Raises:
        ValueError: A setting has a value that cannot be used.
    """
    agent = user_agent(contact)
    session = None
    if login:
        session = Session(login.handle, login.app_password, login.session_file, service=login.service, user_agent=agent)
    pacer = Pacer(requests_per_second)
    appview = AppView(service, pacer, session=session, max_connections=max_connections, user_agent=agent)
    return Network(appview, Repositories(appview, plc_directory, inside_hosts), short_links)
