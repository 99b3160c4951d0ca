"""What is bound to happen in every sample world, whatever its seed: everything that a pipeline can trip over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pipelines.sample.world.days import moment
from pipelines.sample.world.truth import (
    ACTIVE,
    DEACTIVATED,
    DELETED,
    EXTERNAL,
    IMAGES,
    RECORD,
    RECORD_WITH_MEDIA,
    SUSPENDED,
    VIDEO,
    Card,
    Defect,
    Embed,
    Reply,
    StrongRef,
)
from pipelines.sample.world.writing import Marked, compose

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.sample.world.simulation import Simulation
    from pipelines.sample.world.truth import Post

HOLOGRAM: Final = "com.example.embed.hologram"
SPARKLE: Final = "com.example.richtext.facet#sparkle"

# Two that may be published, and one of each kind that may not: no https, labelled, naming somebody who is hidden.
_ODD_LINKS: Final = (
    ("https://news.example.com/daily", "All <b>links</b> of today", ()),
    ("javascript:alert('hi')", "Try me", ()),
    ("http://news.example.com/plain", "Without encryption", ()),
    ("https://coins.example.com/", "Double your data", ("spam",)),
    ("https://private.bsky.test/about", "A friend", ()),
    ("https://www.example.com/archive?year=2026", None, ()),
)


def prepare(world: Simulation) -> None:
    """Settle what becomes of the accounts, and put every scripted scene into the world's calendar."""
    _accounts(world)
    _memberships(world)
    script = _Script(world)
    _odd_times(script)
    _odd_content(script)
    _broken_records(script)
    _references(script)
    _edits_and_deletions(script)
    _pins(script)
    _newcomers_and_hits(script)


class _Script:
    """Writes scenes into the world's calendar."""

    def __init__(self, world: Simulation) -> None:
        self.world = world

    def at(self, slot: int, clock: str, act: Callable[[datetime], object]) -> None:
        """Let something happen at a moment."""
        at = moment(slot, clock)
        self.world.scenes[slot].append((at, lambda: act(at)))

    def say(self, slot: int, clock: str, name: str, text: str | None, landmark: str = "", **details: Any) -> None:
        """Let somebody post, and remember the post where the script comes back to it.

        Args:
            slot: In which slot.
            clock: At which time, `HH:MM`.
            name: Who.
            text: What they say.
            landmark: The name under which the script finds the post again.
            details: See `Simulation.write`; a callable among them gives its value when the moment has come.
        """

        def act(at: datetime) -> None:
            settled = {key: value() if callable(value) else value for key, value in details.items()}
            post = self.world.write(self.world.actor(name), at, text, **settled)
            if landmark:
                self.world.landmarks[landmark] = post

        self.at(slot, clock, act)

    def repost(self, slot: int, clock: str, name: str, landmark: str, until: datetime | None = None) -> None:
        """Let somebody repost a landmark."""
        self.at(slot, clock, lambda at: self.world.repost(self.world.actor(name), at, self.post(landmark), until))

    def like(self, slot: int, clock: str, name: str, landmark: str, until: datetime | None = None) -> None:
        """Let somebody like a landmark."""
        self.at(slot, clock, lambda at: self.world.ties.like(self.world.actor(name), self.post(landmark), at, until))

    def edit(self, slot: int, clock: str, landmark: str, text: str) -> None:
        """Let the author of a landmark edit it."""

        def act(at: datetime) -> None:
            self.world.landmarks[landmark] = self.world.edit(self.post(landmark), at, text)

        self.at(slot, clock, act)

    def post(self, landmark: str) -> Post:
        """Give a landmark in its latest version."""
        return self.world.landmarks[landmark]

    def ref(self, landmark: str) -> StrongRef:
        """Refer to a landmark."""
        return StrongRef(self.post(landmark).uri, self.post(landmark).cid)

    def answering(self, landmark: str) -> Callable[[], Reply]:
        """Answer a landmark that starts a thread."""
        return lambda: Reply(self.ref(landmark), self.ref(landmark))

    def quoting(self, landmark: str, detached_at: datetime | None = None) -> Callable[[], Embed]:
        """Quote a landmark."""
        return lambda: Embed(RECORD, quoted=self.ref(landmark), detached_at=detached_at)


def _accounts(world: Simulation) -> None:
    for name, slot, clock, status in (
        ("ghosted", -30, "09:00", DEACTIVATED),
        ("spammy", -10, "14:20", SUSPENDED),
        ("gone", -5, "20:00", DELETED),
        ("hana", 2, "12:00", DEACTIVATED),
        ("hana", 4, "08:30", ACTIVE),
        ("crypto", 5, "11:11", SUSPENDED),
        ("nils", 6, "16:45", DEACTIVATED),
        ("vanish", 7, "21:30", DELETED),
    ):
        world.actor(name).statuses.append((moment(slot, clock), status))
    for name, slot, clock, handle in (
        ("brokendns", -40, "03:00", "handle.invalid"),
        ("jonas", 4, "10:00", "ahrens-data.test"),
        ("leo", 6, "10:05", "jonas.bsky.test"),  # a handle that somebody else had
    ):
        world.actor(name).handles.append((moment(slot, clock), handle))
    for name, slot in (("tomasz", -20), ("greta", -60), ("yusuf", 4)):
        world.actor(name).quiet_from = moment(slot, "12:00")
    world.actor("noprofile").profiles.clear()
    world.change_profile(world.actor("newsbot"), moment(-150, "12:00"), labels=("bot",), links=_ODD_LINKS)
    world.change_profile(world.actor("private"), moment(-150, "12:00"), labels=("!no-unauthenticated",))
    world.change_profile(world.actor("ruth"), moment(6, "09:15"), labels=("!no-unauthenticated",))
    world.change_profile(
        world.actor("oskar"),
        moment(3, "07:50"),
        display_name="Oskar Wiśniewski 🐻‍❄️",
        links=(("https://oskar.example.com/", "Blog", ()),),
    )
    okoro = world.actor("okoro")
    okoro.created_at = okoro.writes_from = moment(5, "13:00")
    okoro.handles = [(okoro.created_at, okoro.handles[0][1])]
    okoro.statuses = [(okoro.created_at, ACTIVE)]
    world.change_profile(okoro, okoro.created_at)
    del okoro.profiles[0]
    okoro.joined_via_pack = world.packs[0].uri


def _memberships(world: Simulation) -> None:
    people, ducks, talks = world.packs[0].list, world.packs[1].list, world.lists[0]
    script = _Script(world)
    for slot, clock, members, name, joins in (
        (-45, "18:00", people, "joao", True),
        (-12, "18:00", people, "joao", False),
        (3, "09:30", people, "ines", True),
        (4, "17:00", ducks, "lena", True),
        (5, "20:10", people, "pavel", False),
        (6, "11:00", people, "okoro", True),
        (6, "11:05", talks, "priya", False),
        (7, "19:00", people, "tessa", True),
        (8, "20:10", people, "pavel", True),
        (9, "12:00", people, "sofia", False),
        (9, "12:30", ducks, "kenji", False),
    ):
        act = world.add_member if joins else world.remove_member
        script.at(slot, clock, partial(act, members, world.actor(name)))
    for name, members, slot, back in (
        ("raul", ducks, 2, 4),
        ("felix", ducks, 4, None),  # stays on the other list
        ("greta", people, 3, None),
        ("stefan", talks, 3, None),  # says nothing to the service: the list stands behind no pack
    ):
        until = None if back is None else moment(back, "18:00")
        world.opt_out(world.actor(name), members, moment(slot, "18:00"), until)
    script.at(-80, "19:00", partial(world.block, world.actor("aloof"), world.actor("mara")))


def _odd_times(script: _Script) -> None:
    # Imports: written years ago, indexed tonight; they land deep in the feed. Some have the very same time.
    old = datetime(2019, 5, 14, 8, 30, tzinfo=UTC)
    for number, (days, text) in enumerate(
        (
            (0, "First day with a real warehouse. I can type SELECT and things happen."),
            (0, "Also: the coffee machine has an API."),
            (210, "Le tableau de bord est prêt. Personne ne l'a encore ouvert."),
            (540, "Home office, day one. The cat has opinions on star schemas."),
            (1100, "Sold my last Hadoop T-shirt."),
            (1490, "Tried DuckDB for the first time. That can't be right, it's too fast."),
        )
    ):
        script.say(
            -3,
            f"22:{10 + number}",
            "archivist",
            text,
            created_at=old + timedelta(days=days),
            langs=("fr",) if text.startswith("Le") else ("en",),
            reach=0.3,
        )
    older = datetime(2015, 9, 1, 18, 0, tzinfo=UTC)
    for number, (days, text) in enumerate(
        (
            (0, "Exported from the old place, post 1."),
            (0, "Exported from the old place, post 2."),
            (0, "Exported from the old place, post 3."),
            (800, "My first conference talk. I spoke for four minutes out of twenty."),
            (2000, "Ten tables, one diagram, no regrets."),
        )
    ):
        created_at = older + timedelta(days=days)
        script.say(4, f"14:0{number}", "archivist", text, created_at=created_at, reach=0.3)
    script.say(
        -6,
        "16:20",
        "theo",
        "Greetings from the future: the lag is still growing.",
        created_at=datetime(2027, 1, 1, tzinfo=UTC),
    )
    script.say(2, "09:40", "sam", "My laptop's clock is ahead of me.", created_at=moment(2, "12:40"))
    tokyo, pune, bogota = (timezone(timedelta(hours=hours)) for hours in (9, 5.5, -5))
    for slot, clock, name, text, written in (
        (-9, "05:15", "kenji", "時差は朝ごはんの敵。", moment(-9, "05:15").astimezone(tokyo).isoformat()),
        (
            -8,
            "04:45",
            "priya",
            "Posting with an offset.",
            moment(-8, "04:45").astimezone(pune).isoformat("T", "milliseconds"),
        ),
        (1, "15:05", "diego", "Hora local, como debe ser.", moment(1, "15:05").astimezone(bogota).isoformat()),
        (-7, "10:11", "sam", "No milliseconds were harmed.", f"{moment(-7, '10:11'):%Y-%m-%dT%H:%M:%SZ}"),
        (-11, "03:22", "wei", "Nanoseconds, because we can.", f"{moment(-11, '03:22'):%Y-%m-%dT%H:%M:%S}.123456789Z"),
        (1, "09:09", "oskar", "Six digits of pure Python.", f"{moment(1, '09:09'):%Y-%m-%dT%H:%M:%S}.654321+00:00"),
    ):
        fraction = {"wei": 123_456, "oskar": 654_321}.get(name, 0)
        created_at = moment(slot, clock) + timedelta(microseconds=fraction)
        lang = {"kenji": "ja", "diego": "es"}.get(name, "en")
        script.say(slot, clock, name, text, created_at=created_at, created_at_text=written, langs=(lang,))


def _odd_content(script: _Script) -> None:
    world = script.world
    script.say(-5, "19:30", "amelie", "", embed=lambda: Embed(IMAGES, media=(world.picture("Un chat sur un clavier"),)))
    script.say(-13, "11:11", "leo", "")
    script.say(-13, "11:12", "leo", "🦆" * 40 + "👩‍👩‍👧‍👦")
    script.say(
        -1,
        "13:37",
        "noor",
        'Bobby Tables says hi: \'); DROP TABLE posts;-- <script>alert("hi")</script> & <b>\\o/</b>\t\u2028end',
    )
    script.say(-4, "12:00", "wei", "The query plan, now in three dimensions.", embed=Embed(HOLOGRAM))
    script.say(2, "13:00", "wei", "The query plan, now in four dimensions.", embed=Embed(HOLOGRAM))
    script.say(
        -2,
        "17:45",
        "chidi",
        "Bridged from my blog: who counts as a data journalist?",
        extra=(("bridgyOriginalUrl", "https://blog.example.com/who-counts"), ("com.example.mood", "curious")),
    )
    script.say(-2, "10:30", "noor", "An evaluation is a unit test with feelings.", tags=("data", "Evals", "評価"))
    script.say(
        -3,
        "15:00",
        "marguerite",
        "Content warning: our ER diagram from 2014.",
        self_labels=("graphic-media",),
        embed=lambda: Embed(IMAGES, media=(world.picture("A diagram with 214 crossing lines"),)),
    )
    script.say(-4, "08:00", "crypto", "Guaranteed returns on your data, DM me 🚀🚀", labels=("spam",))
    script.say(
        -6, "09:00", "joao", "", langs=(), embed=lambda: Embed(VIDEO, media=(world.video("A small dog chases a duck"),))
    )
    friend = world.actor("kenji")
    link = "https://duckdb.org/docs/stable/data/parquet/overview"
    marked = {
        "sparkle": Marked("✨café✨", SPARKLE, None),
        "who": Marked("@kenji.bsky.test", "mention", friend.did),
        "tag": Marked("#データ分析", "tag", "データ分析"),
        "link": Marked("duckdb.org/docs…", "link", link),
    }
    text, facets = compose("🇧🇷 {sparkle} com {who} sobre {tag} → {link} 👩‍🚀 acabou", marked.__getitem__)
    script.say(-6, "14:00", "bia", text, facets=facets, langs=("pt", "ja"))
    # One stretch of text with two features.
    both, one = compose("{tag} é vida", {"tag": Marked("#DuckDB", "tag", "DuckDB")}.__getitem__)
    assert one is not None
    linked = type(one[0])("link", "https://duckdb.org/", one[0].byte_start, one[0].byte_end)
    script.say(-6, "14:05", "bia", both, facets=(*one, linked), langs=("pt",))
    pack, members = world.packs[0], world.lists[0]
    script.say(
        -15, "10:00", "bia", "Follow everybody in here!", embed=Embed(RECORD, quoted=StrongRef(pack.uri, pack.cid))
    )
    script.say(
        -15, "11:00", "stefan", "Book these people.", embed=Embed(RECORD, quoted=StrongRef(members.uri, members.cid))
    )
    script.say(
        -14,
        "11:00",
        "harper",
        "Book these people, really.",
        embed=Embed(RECORD, quoted=StrongRef(members.uri, members.cid)),
    )
    feed = StrongRef(f"at://{world.actor('mikkel').did}/app.bsky.feed.generator/data-chrono", world.next_cid())
    script.say(-9, "18:00", "theo", "This feed is all I read now.", embed=Embed(RECORD, quoted=feed))
    card = Card("https://kafka.apache.org/documentation/", "Apache Kafka", "The documentation.")
    script.say(-16, "09:00", "enginenews", "Issue 212: what happened to the write-ahead log?", "issue", reach=3.0)
    script.say(
        -9,
        "12:10",
        "lena",
        "Read both.",
        embed=lambda: Embed(RECORD_WITH_MEDIA, card=card, quoted=script.ref("issue")),
    )
    script.say(
        3,
        "12:10",
        "grace",
        "We're hiring two data engineers, remote in Europe. Salary range in the ad.",
        reach=2.0,
        embed=Embed(EXTERNAL, card=Card("https://jobs.example.com/two-engineers", "Data engineer (2x)", "62-78k EUR")),
    )


def _broken_records(script: _Script) -> None:
    world = script.world
    script.say(-10, "10:00", "brokendns", None, defect=Defect.TEXT_MISSING)
    script.say(-9, "10:00", "brokendns", None, defect=Defect.TEXT_NUMBER)
    script.say(-12, "10:00", "oskar", "My client forgot the date.", defect=Defect.CREATED_AT_MISSING)
    script.say(-11, "10:00", "felix", "Mein Client schreibt Prosa.", langs=("de",), defect=Defect.CREATED_AT_WORDS)
    script.say(-4, "10:00", "felix", "Mein Client zählt Sekunden.", langs=("de",), defect=Defect.CREATED_AT_NUMBER)
    script.say(-6, "10:00", "wei", "Languages by number.", langs=None, defect=Defect.LANGS_NUMBERS)
    script.say(-22, "10:00", "tomasz", "One language is not a list.", langs=None, defect=Defect.LANGS_STRING)
    script.say(-7, "10:00", "diego", "Etiquetas con estructura.", langs=("es",), defect=Defect.TAGS_OBJECT)
    script.say(-8, "10:00", "ada", "Facets? None, it says.", defect=Defect.FACETS_TEXT)
    script.say(-9, "10:10", "leo", "Replying to everybody at once.", defect=Defect.REPLY_TEXT)
    script.say(-5, "10:00", "noor", "Nobody counts this one.", defect=Defect.COUNTS_MISSING)
    script.say(-6, "10:20", "grace", "This one was counted by hand.", defect=Defect.COUNTS_TEXT)
    script.say(
        -3,
        "10:00",
        "hana",
        "写真だけ",
        langs=("ja",),
        defect=Defect.ALT_MISSING,
        embed=lambda: Embed(IMAGES, media=(world.picture("駅"), world.picture(None))),
    )
    script.say(-2, "10:00", "yusuf", "An embed of another kind.", defect=Defect.EMBED_LIST)
    script.say(2, "10:00", "bia", "Línguas em números.", langs=None, defect=Defect.LANGS_NUMBERS)


def _references(script: _Script) -> None:
    """Let people answer, quote and repost what is deleted, blocked, detached, somebody else's or their own."""
    script.say(-16, "10:00", "oskar", "I will regret this post.", "regret", deleted_at=moment(-14, "10:00"))
    script.say(-15, "12:00", "leo", "You will.", reply=script.answering("regret"))
    script.say(-15, "12:30", "theo", "Frame this.", embed=script.quoting("regret"))
    script.repost(-15, "13:00", "mara", "regret")
    script.say(
        -1, "18:00", "diego", "Encuesta: ¿tabs o espacios en SQL?", "poll", langs=("es",), deleted_at=moment(3, "08:00")
    )
    script.say(-1, "18:30", "raul", "Espacios.", langs=("es",), reply=script.answering("poll"))
    script.say(-1, "18:40", "sofia", "Tabs, obviamente.", langs=("es",), reply=script.answering("poll"))
    script.say(-1, "18:50", "bia", "Polêmica do dia.", langs=("pt",), embed=script.quoting("poll"))
    script.repost(-1, "19:00", "leo", "poll")
    script.say(-20, "09:00", "grump", "Your lakehouse is a folder.", "folder", reach=4.0)
    script.say(-20, "09:20", "leo", "It's a nice folder though.", reply=script.answering("folder"))
    script.say(-20, "09:30", "sofia", "Carpeta con estilo.", langs=("es",), embed=script.quoting("folder"))
    script.say(-20, "09:40", "lena", "A folder with ambitions.", reply=script.answering("folder"))
    for name in ("leo", "sofia"):
        script.at(-19, "09:00", partial(script.world.block, script.world.actor("grump"), script.world.actor(name)))
    script.say(-22, "20:00", "harper", "Keynote slides are up, be gentle.", "slides", reach=2.0)
    script.say(
        -22, "20:30", "marguerite", "Gentle is not in my budget.", embed=script.quoting("slides", moment(-21, "07:00"))
    )
    script.say(-21, "20:30", "theo", "Slide 12 is worth it.", embed=script.quoting("slides", moment(4, "07:00")))
    script.say(-2, "08:00", "lena", "Our incident write-up, with all the mistakes left in.", "incident", reach=3.0)
    script.repost(-2, "17:00", "lena", "incident")
    for name, clock in (("jonas", "18:00"), ("mara", "18:10"), ("priya", "19:30"), ("private", "20:15")):
        script.repost(-1, clock, name, "incident")
    script.say(-8, "16:00", "gone", "Thinking about leaving.", "farewell")
    script.say(-8, "16:20", "greta", "Stay!", reply=script.answering("farewell"))
    script.say(-1, "08:08", "catpics", "A cat, asleep on a warehouse shelf.", "cat", reach=5.0)
    script.repost(-1, "09:00", "jonas", "cat")
    for slot, name in ((-1, "mara"), (1, "sam"), (2, "leo"), (3, "noor"), (6, "oskar")):
        script.like(slot, "09:05", name, "cat", until=moment(7, "09:05") if name == "noor" else None)
    for slot, name in ((-2, "lena"), (4, "theo"), (5, "diego"), (5, "private")):
        script.like(slot, "09:07", name, "folder")
    script.repost(-8, "09:00", "amelie", "issue", until=moment(-7, "09:00"))
    script.repost(2, "09:00", "amelie", "issue")
    script.say(
        1, "11:00", "otto", "Ein Beitrag, der nicht bleibt.", "otto", langs=("de",), deleted_at=moment(2, "06:00")
    )
    script.repost(1, "11:30", "felix", "otto")


def _edits_and_deletions(script: _Script) -> None:
    script.say(-8, "09:30", "grace", "We have to openings.", "openings")
    script.edit(-7, "09:35", "openings", "We have two openings.")
    script.say(1, "02:00", "kenji", "DuckDB 1.5を試す", "kenji", langs=("ja",))
    script.edit(2, "03:00", "kenji", "DuckDB 1.5を試した。速い。")
    script.say(-10, "14:00", "ada", "SQL for biologists, lesson 1.", "lesson")
    script.edit(5, "14:00", "lesson", "SQL for biologists, lessons 1 and 2.")
    script.say(-1, "07:00", "lena", "Draft: how we page less.", "draft", deleted_at=moment(6, "12:00"))
    script.edit(3, "07:00", "draft", "Draft 2: how we page even less.")
    script.say(1, "16:00", "theo", "Wrong window, sorry.", deleted_at=moment(2, "07:10"))
    script.say(-2, "16:00", "priya", "Numbers to be confirmed.", deleted_at=moment(4, "09:10"))
    script.say(-60, "16:00", "grace", "We're hiring (this one is filled).", deleted_at=moment(3, "10:10"))
    script.say(-100, "16:00", "mara", "Predictions for 2026, do not hold me to them.", deleted_at=moment(6, "08:00"))
    script.say(2, "10:00", "leo", "Nobody will ever see this.", deleted_at=moment(2, "10:20"))
    script.say(5, "10:00", "sam", "Ask me anything about VACUUM.", deleted_at=moment(9, "10:00"))


def _pins(script: _Script) -> None:
    world = script.world

    def pin(slot: int, clock: str, name: str, landmark: str) -> None:
        script.at(slot, clock, lambda at: world.pin(world.actor(name), at, script.post(landmark)))

    script.say(
        -120, "10:00", "mara", "Start here: what this account is about. Boring pipelines, mostly.", "start", reach=2.0
    )
    pin(-119, "10:00", "mara", "start")
    script.say(-2, "12:00", "bia", "Encontro da comunidade dia 20, venham!", "encontro", langs=("pt",), reach=2.0)
    pin(-2, "12:05", "bia", "encontro")
    script.say(-30, "12:00", "sam", "Pinned, for now.", "for now", deleted_at=moment(-10, "12:00"))
    pin(-30, "12:05", "sam", "for now")
    script.say(
        2,
        "08:15",
        "chidi",
        "We counted every pothole in the city. It took one query and nine months.",
        "hit",
        reach=9.0,
    )
    pin(2, "08:20", "chidi", "hit")


def _newcomers_and_hits(script: _Script) -> None:
    script.say(
        -1,
        "09:15",
        "priya",
        "Row groups, explained with moving boxes. A thread people asked for 📦",
        "boxes",
        reach=5.0,
    )
    script.say(
        -1,
        "09:16",
        "priya",
        "A box has a label: min, max, how many. You skip boxes by their labels.",
        reply=script.answering("boxes"),
    )
    script.repost(2, "12:00", "mara", "hit")
    script.repost(2, "12:30", "theo", "hit")
    script.say(2, "13:30", "amelie", "Voilà du journalisme.", langs=("fr",), embed=script.quoting("hit"))
    text, facets = compose(
        "Hello {who}, thanks for having me. Analyst, Lagos, dbt and football.",
        {"who": Marked("@mara.bsky.test", "mention", script.world.actor("mara").did)}.__getitem__,
    )
    script.say(5, "13:05", "okoro", text, "hello", facets=facets)
    script.say(5, "13:40", "mara", "Welcome!", reply=script.answering("hello"))
    script.say(5, "14:10", "leo", "Welcome! Which football, though?", reply=script.answering("hello"))
