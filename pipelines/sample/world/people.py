"""Who lives in the sample world. Nobody here is real."""

# ruff: noqa: E501 - a table, one row a person

from __future__ import annotations

from typing import Final, NamedTuple


class Person(NamedTuple):
    """A person as the script introduces them.

    Attributes:
        name: What the script calls them, and the first part of their handle.
        posts_per_day: What they write on an average weekday.
        groups: The lists they are on from the start: `data` (the main pack), `duck` (the second), `talks` (the list).
    """

    name: str
    display_name: str
    bio: str
    langs: tuple[str, ...]
    utc_offset_hours: int
    posts_per_day: float
    followers: int
    topics: tuple[str, ...]
    groups: tuple[str, ...]


def _person(  # noqa: PLR0917 - a row of the table
    name: str,
    display_name: str,
    bio: str,
    langs: str,
    offset: int,
    rate: float,
    followers: int,
    topics: str,
    groups: str,
) -> Person:
    return Person(
        name,
        display_name,
        bio,
        tuple(langs.split()),
        offset,
        rate,
        followers,
        tuple(topics.split()),
        tuple(groups.split()),
    )


PEOPLE: Final = (
    _person("mara", "Mara Lindqvist", "Analytics engineer. Collects boring pipelines. She/her 🦆", "en", 1, 3.2, 8200, "dbt governance community", "data duck talks"),
    _person("jonas", "Jonas Ahrens", "dbt, SQL und schlechte Wortspiele.", "de en", 1, 1.8, 2100, "dbt memes", "data"),
    _person("lena", "Lena Okafor", "Data platform lead. Opinions are mine, outages are ours.", "en", 0, 2.1, 5400, "lakehouse streaming", "data talks"),
    _person("diego", "Diego Marín", "Ingeniero de datos en Bogotá. SQL, café y bicicletas.", "es en", -5, 1.5, 1700, "postgres python", "data"),
    _person("bia", "Bia Carvalho", "Engenheira de dados 🇧🇷 | comunidade, SQL e pão de queijo", "pt en", -3, 2.6, 4300, "duckdb community", "data duck"),
    _person("kenji", "森 健司", "データ基盤の人。DuckDBが好き。", "ja en", 9, 1.2, 2600, "duckdb lakehouse", "data duck"),
    _person("amelie", "Amélie Fournier", "Data & dataviz, Lyon. J'aime les axes bien nommés.", "fr en", 1, 1.1, 1500, "viz governance", "data"),
    _person("theo", "Theo Papadakis", "Streaming things since before it was lakehouses.", "en", 2, 1.9, 3900, "streaming postgres", "data talks"),
    _person("priya", "Priya Raman", "Staff data engineer. Parquet enthusiast. Ask me about row groups.", "en", 5, 1.7, 6100, "lakehouse duckdb", "data duck talks"),
    _person("sam", "Sam Whitlock", "Postgres whisperer. Gardener. They/them", "en", 0, 1.0, 3300, "postgres", "data"),
    _person("noor", "Noor Haddad", "ML engineer turned evaluation nerd.", "en fr", 1, 0.9, 2800, "ml python", "data"),
    _person("pavel", "Pavel Novotny", "Kafka by day, accordion by night.", "en", 1, 0.8, 900, "streaming", "data"),
    _person("grace", "Grace Mbeki", "Head of data. Hiring, mostly kindly.", "en", 2, 1.3, 7200, "jobs governance", "data"),
    _person("oskar", "Oskar Wiśniewski", "Spark → Polars → happiness", "en", 1, 1.4, 1900, "python lakehouse", "data"),
    _person("hana", "Hana Kobayashi", "Freelance BI. Tea, charts, trains.", "ja en", 9, 0.7, 800, "viz", "data"),
    _person("ruth", "Ruth Adler", "Data governance without the capital letters.", "en", -5, 0.8, 1200, "governance", "data"),
    _person("felix", "Felix Braun", "SQL-Liebhaber, Hobbybäcker. Sauerteig und Slots.", "de", 1, 1.0, 640, "postgres duckdb", "data duck"),
    _person("chidi", "Chidi Eze", "Data journalist. Numbers with people in them.", "en", 1, 1.6, 9800, "viz community", "data"),
    _person("sofia", "Sofía Rivas", "Analista, profe y fan de las CTE.", "es", -3, 0.7, 700, "dbt", "data"),
    _person("tomasz", "Tomasz Zieliński", "Backend turned data. Writes rarely.", "en", 1, 0.6, 450, "postgres", "data"),
    _person("yusuf", "Yusuf Demir", "Observability for pipelines.", "en", 3, 1.2, 1400, "streaming governance", "data"),
    _person("greta", "Greta Holm", "On leave, probably sailing ⛵", "en", 1, 0.9, 1100, "ml", "data"),
    _person("leo", "Leo Santos", "Replies to everything. Sorry in advance.", "en pt", 0, 3.6, 980, "memes python", "data"),
    _person("ada", "Ada Ferreira", "Teaching SQL to biologists.", "pt en", 0, 0.9, 2300, "duckdb community", "data duck"),
    _person("wei", "Wei Chen", "Query engines, mostly the insides.", "en", 8, 0.8, 5100, "duckdb lakehouse", "data duck talks"),
    _person("marguerite", "Marguerite Dubois", "Product analytics. Collects bad dashboards.", "fr en", 1, 0.7, 860, "viz memes", "data"),
    _person("newsbot", "Data Links", "A bot. Posts what the data web published today. Run by @mara.", "en", 0, 3.4, 3600, "duckdb dbt lakehouse python", "data"),
    _person("private", "Iris Vale", "Here for the replies. Please keep my posts off the open web.", "en", 0, 1.1, 540, "governance community", "data"),
    _person("noprofile", "", "", "en", 0, 0.5, 40, "postgres", "data"),
    _person("brokendns", "Ivo Petrov", "Moved my domain. It went as you'd expect.", "en", 2, 0.6, 760, "python", "data"),
    _person("archivist", "Nadia Rahal", "Bringing my old posts home, one import at a time.", "en fr", 1, 0.9, 1300, "community viz", "data"),
    _person("ghosted", "Nobody Now", "", "en", 0, 0.6, 300, "ml", "data"),
    _person("crypto", "Max Gains", "Data-driven gains 🚀", "en", 0, 1.2, 210, "ml jobs", "data"),
    _person("spammy", "Deals Deals", "Best deals on data.", "en", 0, 0.9, 35, "jobs", "data"),
    _person("gone", "Elias Berg", "Leaving soon.", "en", 1, 0.7, 600, "python", "data"),
    _person("vanish", "Rosa Klein", "Trying things out.", "de en", 1, 0.6, 150, "memes", "data"),
    _person("nils", "Nils Aaberg", "DBA emeritus.", "en", 1, 0.5, 1250, "postgres", "data"),
    _person("aloof", "Quentin Shaw", "I block generously.", "en", 0, 0.6, 1900, "streaming", "data"),
    _person("silent", "Yuki Tanabe", "Reads everything, writes nothing.", "ja", 9, 0.0, 120, "duckdb", "data duck"),
    _person("ines", "Inês Duarte", "Data engineer, Porto. Novo por aqui nos packs.", "pt en", 0, 1.4, 2400, "lakehouse python", ""),
    _person("okoro", "Ngozi Okoro", "Just joined. Analytics, Lagos.", "en", 1, 1.8, 25, "dbt community", ""),
    _person("mikkel", "Mikkel Ravn", "Writes a DuckDB extension on weekends.", "en", 1, 1.2, 3100, "duckdb", "duck"),
    _person("tessa", "Tessa van Dijk", "Geo data. Maps, tiles and bicycles 🗺️", "en", 1, 1.0, 2700, "duckdb viz", "duck"),
    _person("raul", "Raúl Ibarra", "Analítica deportiva con DuckDB.", "es en", -6, 0.9, 1900, "duckdb viz", "duck"),
    _person("birgit", "Birgit Saß", "Statistikerin. Straßenbahnfan.", "de", 1, 0.7, 480, "duckdb ml", "duck"),
    _person("joao", "João Pires", "Small data evangelist. Also small dogs.", "pt", 0, 0.8, 1150, "duckdb", "duck"),
    _person("harper", "Harper Lane", "Keynotes and kite surfing.", "en", -8, 0.6, 15400, "community jobs", "talks"),
    _person("stefan", "Stefan Vogt", "Speaker coach for engineers.", "de en", 1, 0.5, 2050, "community", "talks"),
    _person("grump", "Ernest Gruff", "No.", "en", 0, 0.9, 4200, "postgres memes", ""),
    _person("enginenews", "Engine Weekly", "A newsletter about query engines.", "en", 0, 0.8, 22100, "duckdb lakehouse", ""),
    _person("arxivist", "New in Databases", "Papers about databases, daily.", "en", 0, 1.1, 17800, "ml lakehouse", ""),
    _person("catpics", "Cats of the Lake", "Only cats.", "en", -5, 0.8, 51200, "memes", ""),
    _person("otto", "Otto Lang", "Schreibt über Daten, manchmal.", "de", 1, 0.5, 900, "governance", ""),
    _person("valentina", "Valentina Cruz", "Cloud costs, down.", "es en", -5, 0.6, 2900, "lakehouse", ""),
)  # fmt: skip

# Who may join the main pack later on: one of each for every newcomer.
NEWCOMER_FIRST_NAMES: Final = (
    "alba",
    "bram",
    "carla",
    "dario",
    "esi",
    "finn",
    "gita",
    "hugo",
    "ilse",
    "jun",
    "kofi",
    "lia",
)
NEWCOMER_LAST_NAMES: Final = (
    "moreau",
    "keller",
    "osei",
    "lindt",
    "rossi",
    "tanaka",
    "silva",
    "novak",
    "byrne",
    "costa",
)
