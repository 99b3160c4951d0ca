"""What the people of the sample world say, link to and tag: the talk of a community of data people.

Slots in braces are filled by `world.py`: `{n}` a number, `{pct}` a percentage, `{tool}` a tool, `{conf}` a conference,
`{city}` a city, `{day}` a weekday, `{tag}` a hashtag, `{mention}` a member, `{link}` a shortened link.
"""

from __future__ import annotations

from typing import Final

TOOLS: Final = (
    "DuckDB", "Polars", "dbt", "Airflow", "Dagster", "Kafka", "Flink", "Spark", "Iceberg", "Delta Lake", "Postgres",
    "ClickHouse", "Trino", "SQLMesh", "dlt", "Arrow", "pandas", "Superset", "Metabase", "Snowflake", "BigQuery",
    "Terraform", "Great Expectations", "Redpanda", "Debezium", "marimo", "Ibis", "SQLite",
)  # fmt: skip
CONFERENCES: Final = (
    "Data Council", "PyCon DE", "DuckCon", "Coalesce", "Kafka Summit", "FOSDEM", "PGConf", "Big Data Warsaw",
    "Berlin Buzzwords", "PyData Lisboa", "Subsurface",
)  # fmt: skip
CITIES: Final = (
    "Berlin", "Lisbon", "Amsterdam", "London", "São Paulo", "Oakland", "Warsaw", "Tokyo", "Kraków", "Montréal",
    "Nairobi",
)  # fmt: skip
WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")

POSTS: Final[dict[str, tuple[str, ...]]] = {
    "dbt": (
        "Renamed {n} models today. The DAG finally reads like a sentence.",
        "Unit tests in dbt caught a join that doubled revenue by {pct}. In staging. On a {day}. I'm buying the cake.",
        "Hot take: if your mart needs a comment to explain its grain, the grain is wrong. {tag}",
        "Our full refresh went from {n} minutes to under five after we stopped parsing the same JSON in {n} models.",
        "Reminder that `select *` in a staging model is a promise you make on behalf of people you've never met.",
        "Contracts on every mart, week three: two breakages caught before the dashboard, zero after. {tag}",
        "Is anybody running dbt on {tool} in production? Asking before I write the ADR. {tag}",
        "incremental_strategy is the new tabs vs spaces.",
        "Snapshot tables are just git blame for people who don't use git. {tag}",
        "We deleted {n} unused models and nobody noticed. That was the best sprint of the quarter.",
        "Wrote up how we split one huge project into four that deploy on their own: {link}",
    ),
    "duckdb": (
        "{n} million rows, one laptop, {n} seconds. I keep waiting for the catch. {tag}",
        "Joined a CSV on S3 with a Parquet file on my desk and a table in Postgres, in one statement. {tag}",
        "DuckDB's friendly SQL ruined me: I typed GROUP BY ALL into the warehouse and took it personally.",
        "TIL you can point DuckDB at a glob of Parquet and get hive partitions for free. {link}",
        "Spilling to disk just worked: {n} GB through a 4 GB limit. No cluster was harmed. {tag}",
        "The small-data movement is just people who finally measured their data. Ours is {n} GB. {tag}",
        "Replaced a {n}-node job with one DuckDB query and a cron line. The cluster's farewell party is on {day}.",
        "ASOF joins are the feature I explain most and use second most.",
        "If you write one macro this week, make it the one that reads all your Parquet files with union_by_name. {tag}",
    ),
    "lakehouse": (
        "Small files are the plastic bags of the lakehouse. Compacted {n} thousand of them tonight. {tag}",
        "Iceberg, Delta or Hudi? After {n} months: whichever one your query engine writes well. {tag}",
        "Parquet row groups of {n} rows. Ask me how I know that's too small.",
        "We moved {n} TB of JSON into Parquet with zstd and the storage bill fell by {pct}. {tag}",
        "Schema evolution is fine until somebody evolves a string into an int on a {day} evening.",
        "Good read on what a page index really buys you: {link}",
        "A bucket, a naming convention and a bit of discipline. That's the post, that's the lakehouse. {tag}",
        "Dictionary encoding explained with socks: {link}",
    ),
    "streaming": (
        "Consumer lag at {n} and climbing. It's never the broker. It's always the one synchronous HTTP call. {tag}",
        "Exactly-once is at-least-once plus a good primary key. {tag}",
        "We kept a topic with a retention of {n} days 'for now'. It has been two years. {tag}",
        "Rebalances went from every {n} minutes to never after pinning the session timeout. {tag}",
        "Do you batch or stream your CDC into the lake? We went micro-batches of {n} s and haven't looked back. {tag}",
        "Watermarks: the art of deciding who is too late to the party. {link}",
        "Kafka without a schema registry is a group chat where everybody speaks at once.",
        "Listening to the Bluesky firehose for fun: about {n}00 events per second and all of them about cats. {tag}",
    ),
    "postgres": (
        "VACUUM finished after {n} hours. I feel lighter too. {tag}",
        "A partial index turned a {n} ms query into 2 ms. Best line of SQL this month. {tag}",
        "You don't need a queue, you need SELECT ... FOR UPDATE SKIP LOCKED. {tag}",
        "Logical replication to the lake: day {n}, slot is healthy, I check it like a sourdough starter.",
        "Friendly reminder: your UUIDv4 primary key is why the index doesn't fit in memory. {link}",
        "Postgres is a lifestyle. {tag}",
        "jsonb is where schemas go to hide. I found {n} different spellings of 'customer_id' in there.",
    ),
    "python": (
        "Rewrote the loop in {tool}. {n}x faster, and a third of the lines. {tag}",
        "Type hints found {n} bugs in code that 'had been fine for years'.",
        "uv installed our whole stack in {n} seconds. I had a coffee anyway, out of habit. {tag}",
        "A notebook is a great place to think and a terrible place to deploy from. {tag}",
        "msgspec for decoding, Arrow for columns, and suddenly the pipeline is bounded by the network again. {link}",
        "Deleted our utils.py. It had {n} functions, {n} of which were called.",
        "If your pipeline needs a README to be restarted, it's not a pipeline, it's a ritual.",
    ),
    "viz": (
        "The pie chart had {n} slices. I counted. I wept. {tag}",
        "Spent the afternoon on axis labels. That's the job, and I like it. {tag}",
        "Small multiples beat a dropdown nearly every time. {link}",
        "Dashboards don't get read, headlines do. Put the number in the title. {tag}",
        "New chart: how long a post keeps collecting likes. Half of it happens within {n} hours. {tag}",
        "Colour alone is not a legend. Label your lines, friends. {tag}",
        "Alt text for charts: say what it shows, not that it is a chart.",
    ),
    "ml": (
        "Our churn model is {pct} better than the baseline. The baseline is 'nobody ever leaves'.",
        "Embedding drift is real: same text, new model, {pct} of the neighbours changed. {tag}",
        "Half of the feature store is three versions of 'days since last login'. {tag}",
        "Asked the agent to fix the pipeline. It deleted the failing test. Technically green. {tag}",
        "Evaluation first, prompt second. We wrote {n} test cases before touching the model. {link}",
        "A regression with {n} well-chosen columns won again. Boring works. {tag}",
    ),
    "jobs": (
        "We're hiring: data engineer, {city} or remote, {tool} and a lot of SQL. Ask me anything. {link} {tag}",
        "Looking for an analytics engineer who likes naming things. Team of {n}, kind on-call. {link} {tag}",
        "Interview tip: tell me about the pipeline you turned off. Everybody has one and nobody prepares for it.",
        "After {n} years in consulting I'm going in-house. First day is {day}. Nervous in a good way.",
        "My contract ends in {n} weeks. {tool}, {tool}, dbt, and I write docs. DMs open. {tag}",
        "Salary ranges in job ads, please. It's 2026. {tag}",
    ),
    "community": (
        "{conf} CFP closes on {day}! First-time speakers: I'm happy to read your draft. {tag}",
        "See you at {conf}? I'll be the one with the duck stickers. {tag}",
        "Slides from my talk in {city}: {link} {tag}",
        "Meetup in {city} next {day}: lightning talks, pizza, {n} seats left. {tag}",
        "Thank you to everybody who came to the {tool} workshop, all {n} of you. {tag}",
        "New here? Say hello and tell us which query engine hurt you. {tag}",
        "What a week at {conf}. {n} conversations, three ideas, one cold. {tag}",
        "Shout-out to {mention} for the clearest explanation of partition pruning I've seen.",
        "{mention} and I are writing a small book on boring pipelines. Chapter {n} is done.",
        "Started the starter pack for data people who actually post. Suggestions welcome, looking at you {mention}",
    ),
    "memes": (
        "it's always timezones",
        "SELECT vibes FROM {day} WHERE meetings IS NULL; -- 0 rows",
        "the data is clean*\n\n*it isn't",
        "nobody:\nabsolutely nobody:\nthe CEO: can I get this in Excel",
        "my love language is a well-named CTE",
        "roses are red, violets are blue, unexpected token at line {n}02",
        "schrödinger's backfill: both done and not done until finance opens the dashboard 🐈",
        "data engineer noises ☕️🦆",
        "prod is down but the vibes are up to date ✨",
        "there are two hard things: naming, cache invalidation and the {n}th daylight saving bug",
    ),
    "governance": (
        "We documented every column of the top {n} tables. Questions in the channel fell by {pct}. {tag}",
        "A data catalogue nobody opens is a museum. Ours had {n} visitors this month and six were me.",
        "Ownership is a person's name, not a team's alias. {tag}",
        "Deleting personal data on request is a feature, so it gets tests. {link}",
        "Freshness checks on the {n} sources that matter beat checks on all of them. {tag}",
    ),
}  # fmt: skip

QUESTIONS: Final = (
    "What's your go-to way of testing a pipeline without production data?",
    "How do you name your staging models? Serious answers and jokes both welcome.",
    "How many of you run {tool} without a dedicated platform team?",
    "Does anybody have a good benchmark of {tool} against {tool} on less than {n}0 GB?",
    "What was the last thing you deleted that made everything better?",
    "Which blog do you read to the end every single time?",
    "Best way to explain idempotency to a product manager? Go.",
    "Parquet or Arrow IPC for a cache that lives {n} hours?",
)

THREADS: Final = (
    (
        "How we cut our warehouse bill by {pct}. A thread 🧵 {tag}",
        "1/ We looked at what was read, not at what was written. {n} of our tables had no reader in 90 days.",
        "2/ Then we moved everything under {n}0 GB to Parquet in a bucket and pointed DuckDB at it.",
        "3/ The dashboards never noticed. The finance team did. Questions welcome!",
    ),
    (
        "Notes from {conf}, a short thread {tag}",
        "Favourite talk: reconciling a stream with a nightly pull. Deletions are the hard part, as always.",
        "Runner-up: {n} ways to lose a cursor. I've met all of them.",
    ),
    (
        "A post-mortem, because somebody may need it:",
        "One shared cursor for all accounts. A new one joins, the cursor is already past its history, the history is"
        " never read. Nobody sees it for {n} weeks.",
        "Fix: one cursor per account. Obvious afterwards, like all of them.",
    ),
)

REPLIES: Final = (
    "Same here. We ended up with {tool} for exactly that reason.",
    "This! So much this.",
    "How big is the data, if I may ask?",
    "Did you try it with {tool}? Curious how it compares.",
    "Congrats! 🎉",
    "Took me {n} years to learn this.",
    "Strong disagree, but I love the write-up.",
    "Bookmarking this for the next design review.",
    "We saw {pct} on ours. Not bad for an afternoon.",
    "Would read a blog post about it!",
    "Can you share the query?",
    "That's a {day} problem if I ever saw one.",
    "I feel seen.",
    "Thanks for sharing, passing it on to the team.",
    "Depends on the grain 😄",
    "Wait until you see what {tool} does with nulls.",
    "Happy to help, DM me.",
    "{mention} you need to see this",
    "Wrote about it last year, still holds: {link}",
    "Not with that attitude!",
    "What does the {n}th percentile look like?",
    "Counterpoint: cron.",
    "Our on-call thanks you.",
    "Is it open source?",
    "See you in {city}!",
    "My cat just walked over the keyboard and agreed.",
    "🦆🦆🦆",
    "💯",
    "Yes, and partition by day.",
    "It was the timezone, wasn't it?",
    "How long did the migration take you?",
    "We keep {n} days and have never needed more.",
    "That would have saved us a whole {day}.",
    "Does it survive a schema change?",
    "Love the title.",
    "I tried, it fell over at {n} GB. Probably my fault.",
    "Okay, this convinced me to look at {tool} again.",
    "Ask finance. Then ask again, more slowly.",
    "There's a flag for that, and it is off by default.",
    "Beautiful. Terrifying, but beautiful.",
    "Did you measure cold or warm?",
    "One of us! One of us!",
    "Can confirm, still running since {n} months.",
    "What would you do differently?",
    "You had me at Parquet.",
    "The docs have a section on it, well hidden.",
    "Our intern found that in week one. We hired the intern.",
    "Sounds like a talk for {conf}.",
    "Let's write that down before we forget it.",
    "I owe you a coffee in {city}.",
)

QUOTES: Final = (
    "Worth your time, especially the second half.",
    "This is the best explanation of it so far.",
    "Came for the benchmark, stayed for the replies.",
    "Exactly what we hit last {day}.",
    "Adding one thing: measure before you move to {tool}.",
    "Important for anybody who runs {tool}. {tag}",
    "I have opinions on this and they are {pct} the same.",
    "Read this before your next migration.",
    "Saving this for whoever inherits my pipeline.",
    "We argued about exactly this for {n} weeks.",
    "The second chart is the whole story.",
    "Unpopular in our office, true nevertheless.",
    "If you only click one link on a {day}.",
    "Same experience with {tool}, different scars.",
    "My reply got too long, so: yes, but.",
    "This aged well.",
    "Print it, frame it, hang it next to the coffee machine.",
    "Every new colleague gets this link from now on.",
    "I'd add a test for it. {tag}",
    "Good people saying sensible things, more of that.",
    "And that is why we partition by day.",
    "Filed under: things I wish I had known {n} years ago.",
)

# For each language: what is posted, and what is answered.
OTHER_LANGUAGES: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "pt": (
        (
            "Migrei {n} pipelines para o {tool} e ninguém reclamou. Ainda. 😅 {tag}",
            "Alguém vai ao {conf}? Bora marcar um café! {tag}",
            "Engenharia de dados é 20% SQL e 80% descobrir de onde veio aquela coluna.",
            "Escrevi sobre particionamento em português: {link} {tag}",
            "Hoje o dashboard abriu em {n} segundos. Chorei um pouquinho. {tag}",
            "Vaga para pessoa engenheira de dados, remoto, {tool} e muito SQL! {link} {tag}",
            "São Paulo tem a melhor comunidade de dados e eu não aceito discussão 🇧🇷 {tag}",
        ),
        ("Muito bom!", "Concordo demais 👏", "Tem o código em algum lugar?", "Que legal, parabéns!", "Eita 😂"),
    ),
    "es": (
        (
            "¿Alguien usa {tool} en producción? Busco experiencias reales. {tag}",
            "Hoy aprendí que el año también puede ser una partición. {n} horas después, todo vuela. {tag}",
            "Charla nueva en {city}: «Canalizaciones aburridas, noches tranquilas». {link} {tag}",
            "El {day} desplegamos. Sí, ya sé. 🙈",
            "De {n} minutos a {n} segundos con un solo índice. ¡Viva Postgres! {tag}",
            "Los datos no mienten, pero a veces llegan tarde.",
        ),
        (
            "¡Totalmente de acuerdo!",
            "¿Y cómo lo medís?",
            "Gracias por compartir 🙌",
            "Jajaja, nos pasó igual.",
            "¡Qué bueno!",
        ),
    ),
    "de": (
        (
            "Größte Erkenntnis der Woche: {pct} unserer Tabellen liest niemand. {tag}",
            "Wir suchen Verstärkung für unser Datenteam in {city} (m/w/d): {link} {tag}",
            "Die Straße zur Datenqualität ist mit Überschriften gepflastert. 🛣️ {tag}",
            "{n} Millionen Zeilen auf dem Laptop. Früher hätten wir dafür ein Cluster bestellt. {tag}",
            "Wer kommt zur {conf}? Ich bringe Aufkleber mit 🦆 {tag}",
            "Schöner Artikel über Zeitzonen, man lernt ja nie aus: {link}",
        ),
        (
            "Stimmt!",
            "Läuft bei uns genauso.",
            "Wie groß ist das Ganze?",
            "Danke fürs Teilen!",
            "Schöne Grüße aus {city} 👋",
        ),
    ),
    "ja": (
        (
            "{tool}で{n}GBのログを集計した。ノートPCだけで十分でした 🦆 {tag}",  # noqa: RUF001 - Japanese
            "データエンジニアの仕事の半分は列名を読むことだと思う。",
            "{conf}に参加します!見かけたら声をかけてください 🙌 {tag}",
            "Parquetの行グループについて書きました → {link} {tag}",
            "月曜日のバッチは必ず落ちる、という法則がある。",
            "タイムゾーンのバグ、今年{n}回目です… {tag}",
        ),
        ("わかります!", "すごい!", "参考になりました、ありがとうございます 🙏", "うちも同じです", "これは便利ですね"),
    ),
    "fr": (
        (
            "Après {n} mois avec {tool}, bilan : moins de code, plus de sommeil. {tag}",
            "Qui vient au {conf} ? J'apporte les autocollants 🥐 {tag}",
            "Un bon nom de colonne vaut mieux qu'un long commentaire. Voilà, c'est dit.",
            "On recrute une ingénieure ou un ingénieur données à {city} : {link} {tag}",
            "J'ai supprimé {n} tableaux de bord. Personne n'a rien dit. Ça fait réfléchir. {tag}",
            "Très bel article sur la modélisation : {link}",
        ),
        ("Tellement vrai !", "Merci pour le partage 🙏", "Chez nous aussi…", "Bravo !", "Tu as mesuré comment ?"),
    ),
}

# Hashtags by topic; `world.py` lets some rise and some fall from week to week.
HASHTAGS: Final[dict[str, tuple[str, ...]]] = {
    "dbt": ("dbt", "AnalyticsEngineering", "DataBS"),
    "duckdb": ("DuckDB", "SmallData", "SQL"),
    "lakehouse": ("Parquet", "Iceberg", "DataLake"),
    "streaming": ("Kafka", "CDC", "ATProto"),
    "postgres": ("Postgres", "SQL"),
    "python": ("Python", "PyData", "Polars"),
    "viz": ("DataViz", "a11y"),
    "ml": ("ML", "Evals"),
    "jobs": ("DataJobs", "Hiring"),
    "community": ("DataBS", "Meetup", "DuckCon"),
    "memes": ("DataBS",),
    "governance": ("DataQuality", "Governance"),
    "pt": ("DadosBR", "DataBS"),
    "es": ("Datos", "SQL"),
    "de": ("Daten", "DataBS"),
    "ja": ("データ分析", "DuckDB"),
    "fr": ("Données", "DataBS"),
}

# Links by topic: address, title of the card, description of the card.
LINKS: Final[dict[str, tuple[tuple[str, str, str], ...]]] = {
    "dbt": (
        (
            "https://docs.getdbt.com/docs/build/unit-tests",
            "Unit tests",
            "Test the logic of a model on rows you write yourself.",
        ),
        (
            "https://github.com/sample-people/dbt-style-guide",
            "sample-people/dbt-style-guide",
            "A style guide that fits on one page.",
        ),
        (
            "https://medium.com/sample-analytics/grain-first-9f2c",
            "Grain first",
            "Why every mart starts with one sentence.",
        ),
    ),
    "duckdb": (
        (
            "https://duckdb.org/docs/stable/data/parquet/overview",
            "Reading and Writing Parquet Files",
            "Globs, hive partitions and pushdown.",
        ),
        ("https://github.com/duckdb/duckdb/releases", "Releases · duckdb/duckdb", "What is new in DuckDB."),
        ("https://www.youtube.com/watch?v=smpl0duck01", "A terabyte on a laptop", "A talk, 32 minutes."),
        ("https://duckdb.org/docs/stable/sql/query_syntax/groupby", "GROUP BY Clause", "GROUP BY ALL and friends."),
    ),
    "lakehouse": (
        ("https://parquet.apache.org/docs/file-format/", "File Format", "The Parquet file format, page by page."),
        ("https://iceberg.apache.org/spec/", "Iceberg Table Spec", "What a table format has to promise."),
        (
            "https://arxiv.org/abs/2601.01234",
            "Compaction without regret",
            "When merging small files pays, and when it does not.",
        ),
        (
            "https://sampledata.substack.com/p/socks-and-dictionaries",
            "Socks and dictionaries",
            "Dictionary encoding for the rest of us.",
        ),
    ),
    "streaming": (
        ("https://kafka.apache.org/documentation/", "Apache Kafka", "The documentation, for once read in full."),
        (
            "https://docs.bsky.app/docs/advanced-guides/firehose",
            "Firehose | Bluesky",
            "How to listen to every public post.",
        ),
        ("https://www.youtube.com/watch?v=smpl0wtrmrk", "Watermarks at a party", "A talk, 18 minutes."),
    ),
    "postgres": (
        (
            "https://www.postgresql.org/docs/current/indexes-partial.html",
            "Partial Indexes",
            "Index the rows you ask for.",
        ),
        ("https://sampledata.substack.com/p/uuid-and-your-cache", "UUIDs and your cache", "Random keys, random reads."),
    ),
    "python": (
        ("https://docs.python.org/3/library/asyncio.html", "asyncio", "Asynchronous I/O."),
        ("https://github.com/pola-rs/polars", "pola-rs/polars", "Dataframes powered by a multithreaded query engine."),
        (
            "https://github.com/sample-people/boring-pipelines",
            "sample-people/boring-pipelines",
            "Templates for pipelines that let you sleep.",
        ),
    ),
    "viz": (
        ("https://observablehq.com/@sample-people/small-multiples", "Small multiples", "A notebook."),
        ("https://vega.github.io/vega-lite/", "Vega-Lite", "A grammar of interactive graphics."),
    ),
    "ml": (
        ("https://arxiv.org/abs/2602.04321", "Evaluate before you prompt", "A field report."),
        ("https://github.com/sample-people/evals", "sample-people/evals", "Small evaluations, in plain Python."),
    ),
    "jobs": (
        ("https://www.linkedin.com/jobs/view/3600000001", "Data engineer", "Remote, Europe."),
        ("https://jobs.example.com/analytics-engineer", "Analytics engineer", "A team of six, kind on-call."),
    ),
    "community": (
        (
            "https://www.meetup.com/sample-data-people/events/300000001/",
            "Data people, lightning talks",
            "Pizza and ten-minute talks.",
        ),
        ("https://speakerdeck.com/samplepeople/boring-pipelines", "Boring pipelines", "41 slides."),
        ("https://pretalx.com/sample-conf-2026/cfp", "Call for papers", "Open until the end of March."),
    ),
    "governance": (
        ("https://atproto.com/specs/account", "Account status", "What a deleted account asks of others."),
        (
            "https://sampledata.substack.com/p/a-catalogue-is-a-garden",
            "A catalogue is a garden",
            "Or a museum. You choose.",
        ),
    ),
}

ALT_TEXTS: Final = (
    "Line chart of daily active pipelines, rising from 12 to 40 over six months",
    "A rubber duck on a laptop keyboard, facing the camera",
    "Screenshot of a query plan with a hash join that takes 97 % of the time",
    "A packed meetup room with about sixty people looking at a slide",
    "Slide: “Delete more than you build”",
    "Grafik: Verteilung der Antwortzeiten, die meisten unter 50 ms",
    "猫がキーボードの上で寝ている",
    "Hand-drawn diagram: sources, lake, models, report",
    "Bar chart of hashtags by week; DuckDB leads",
    "Sunrise over the harbour from the conference hotel",
)
