"""The dbt-duckdb plugin through which `dbt run`, started by itself, finds the same bucket as the pull."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.events.logging import AdapterLogger
from dbt.flags import get_flags
from dbt_common.exceptions import DbtRuntimeError

from pipelines.lake.bucket import LakeError
from pipelines.lake.duckdb_settings import duckdb_settings
from pipelines.lake.forget_warehouse import begin_anew_after_forgetting
from pipelines.lake.left_out import VARIABLE, read_left_out
from pipelines.lake.names_in_texts import LETTERS_IN_SQL

if TYPE_CHECKING:
    from dbt.adapters.duckdb.credentials import DuckDBCredentials
    from duckdb import DuckDBPyConnection

_log: Final = AdapterLogger("DuckDB")


class Plugin(BasePlugin):
    """Takes bucket, credentials, warehouse file, memory limit and who is left out from dlt's configuration.

    dbt-duckdb makes one for each dbt run, from the `plugins:` entry in profiles.yml; its `config` names the pipeline.
    """

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read the settings, put the warehouse where they say, and see that it can be opened.

        dbt-duckdb has a stack trace for a file that cannot, and prints what a plugin says. One from before somebody was
        forgotten is begun anew.

        Raises:
            DbtRuntimeError: If the settings or the warehouse cannot be used, or it has another name than in
                profiles.yml, which dbt has by then put into every table's address.
        """
        if self.creds is None:
            raise DbtRuntimeError("The plugin needs dbt-duckdb to say what is in profiles.yml.")
        profile_name = Path(self.creds.path).name
        try:
            self._settings = duckdb_settings(plugin_config["pipeline"])
            warehouse = self._settings.warehouse_path
            if warehouse.name != profile_name:
                raise LakeError(f"The warehouse's file must be named {profile_name}: the settings say {warehouse}.")
            begin_anew_after_forgetting(self._settings)
            self._left_out = read_left_out(plugin_config["pipeline"], get_flags().VARS.get(VARIABLE))  # type: ignore[no-untyped-call]
        except LakeError as error:
            raise DbtRuntimeError(str(error)) from error
        self.creds.path = str(warehouse)
        for name in self._left_out.unresolved:
            _log.warning(f"Nobody is published. {name} Then run python pipelines/bluesky.py --check.")

    def update_connection_config(self, creds: DuckDBCredentials, config: dict[str, Any]) -> None:
        """Bound the memory."""
        config["memory_limit"] = self._settings.memory_limit

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Load the extension and create the secret."""
        try:
            self._settings.configure(conn)
        except LakeError as error:
            raise DbtRuntimeError(str(error)) from error

    def configure_cursor(self, cursor: DuckDBPyConnection) -> None:
        """Tell each cursor where the lake is, who is left out, and how names may be written.

        Variables belong to a cursor.
        """
        cursor.execute("set variable lake_path = $1", [self._settings.lake_path])
        cursor.execute("set variable lake_pattern = $1", [self._settings.lake_pattern])
        cursor.execute(
            "set variable left_out = cast($1 as struct(did varchar, name varchar)[])", [self._left_out.rows()]
        )
        for name, value in LETTERS_IN_SQL.items():
            cursor.execute(f"set variable {name} = $1", [value])
