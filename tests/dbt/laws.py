"""What holds in every warehouse, whatever the lake: each law as a query for what breaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.dbt.warehouses import Warehouse

SAID_TO_BE_GONE: Final = """
    select uri from base_bluesky__record_checks where outcome in ('record_gone', 'hidden_by_service')
    union
    select uri from base_bluesky__repo_events where kind = 'commit' and operation = 'delete'
"""

NOT_SHOWN: Final = """
    select subject_uri from int_deletions where subject_type != 'account' union select uri from int_records_in_doubt
"""

SHOULD_HAVE_BEEN_SEEN: Final = """
    with told as (
        select uri, min(created_at) as created_at
        from (
            select uri, created_at from base_bluesky__repo_events
            where operation != 'delete'
            qualify row_number() over (partition by uri order by rev desc) = 1
            union all
            select uri, arg_max(created_at, observed_at) from base_bluesky__record_checks group by uri
        )
        group by uri
    ),
    sightings as (
        select post_uri as uri, observed_at from stg_bluesky__author_feed
        union
        select item_uri, observed_at from stg_bluesky__author_feed
        union
        select uri, event_at from base_bluesky__repo_events where kind = 'commit'
    ),
    items as (
        select
            member_did, item_uri, bool_or(is_repost) as is_repost, arg_max_null(item_at, observed_at) as item_at,
            max(observed_at) as last_observed_at
        from stg_bluesky__author_feed
        where is_repost or member_did = author_did
        group by member_did, item_uri
    ),
    placed as (
        select
            items.*,
            case
                when not is_repost then item_at
                when created_at is not null then least(created_at, item_at)
            end as place
        from items left join told on items.item_uri = told.uri
    )
    select placed.item_uri
    from placed inner join int_member_pulls as pulls using (member_did)
    where
        pulls.is_coverage
        and (pulls.reached_end or (place > pulls.covered_from and place <= pulls.covered_to))
        and not exists (select 1 from sightings where uri = item_uri and observed_at >= pulls.observed_at)
"""

LAWS: Final = {
    "nothing is called gone unless somebody who knows said so": f"""
        select subject_uri from int_deletions
        where subject_type != 'account' and subject_uri not in ({SAID_TO_BE_GONE})
    """,
    "what should have been seen and was not is asked for, or was answered": f"""
        {SHOULD_HAVE_BEEN_SEEN}
        except
        select uri from int_open_questions
        except
        select uri from base_bluesky__record_checks where outcome != 'unknown'
        except
        select uri from base_bluesky__repo_events where operation = 'delete'
    """,
    "what is gone is in no doubt": """
        select uri from int_records_in_doubt where uri in (select subject_uri from int_deletions)
    """,
    "what is asked for is gone or in doubt": f"""
        select uri from int_open_questions where uri not in ({NOT_SHOWN})
    """,
    "nothing that is gone or in doubt is published": f"""
        select post_uri from rpt_top_posts where post_uri in ({NOT_SHOWN})
        union
        select post_uri from rpt_latest_posts where post_uri in ({NOT_SHOWN})
        union
        select item_uri from int_period_activity where item_uri in ({NOT_SHOWN})
        union
        select repost_uri from int_publishable_reposts where post_uri in ({NOT_SHOWN})
    """,
}


def broken_laws(warehouse: Warehouse) -> list[str]:
    """Name the laws that a warehouse breaks, each with a record that does."""
    return [f"{law}: {row[0]}" for law, query in LAWS.items() for row in warehouse.rows(f"{query} limit 1")]
