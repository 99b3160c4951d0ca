"""How the sample world comes about: slot by slot, everybody writes, answers, quotes and reposts.

What becomes of a post (its deletion, its final counts) is settled when it is written, so that later slots never change
what an earlier evening showed.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from pipelines.sample.world import phrases
from pipelines.sample.world.blocks import UNNAMED, named
from pipelines.sample.world.days import FIRST_SLOT, evening, moment, timestamp
from pipelines.sample.world.dice import Dice
from pipelines.sample.world.ids import blob_cid, cid, did, tid
from pipelines.sample.world.people import NEWCOMER_FIRST_NAMES, NEWCOMER_LAST_NAMES, PEOPLE, Person
from pipelines.sample.world.ties import Ties
from pipelines.sample.world.truth import (
    ACTIVE,
    BLOCK,
    EXTERNAL,
    GALLERY,
    IMAGES,
    LIST,
    LIST_ITEM,
    OPT_OUT,
    POST,
    PROFILE_LINK,
    RECORD,
    RECORD_WITH_MEDIA,
    REPOST,
    STARTER_PACK,
    VIDEO,
    Actor,
    Block,
    Card,
    Defect,
    Embed,
    Engagement,
    ListItem,
    Media,
    MemberList,
    OptOut,
    Post,
    Profile,
    ProfileLink,
    Reply,
    Repost,
    StarterPack,
    StrongRef,
)
from pipelines.sample.world.writing import Marked, compose

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pipelines.sample.world.truth import Facet

    Scene = tuple[datetime, Callable[[], object]]

# How much is written in each hour of a writer's day, and on each day of the week from Monday on.
_HOURS: Final = tuple(accumulate((1, 1, 0, 0, 0, 1, 3, 8, 13, 15, 14, 12, 11, 13, 14, 13, 12, 11, 9, 9, 10, 9, 6, 3)))
_WEEKDAYS: Final = (1.1, 1.2, 1.2, 1.15, 0.95, 0.45, 0.4)
_WAVE: Final = (1, 2, 4, 7, 8, 6, 3, 1)
_RISING: Final = frozenset({"DuckCon", "Evals", "ATProto", "SmallData"})
_FALLING: Final = frozenset({"Kafka", "ML", "Iceberg"})


class Simulation:
    """The world as it grows: nothing in it is ever taken back but, with its time, a membership.

    Args:
        seed: Same seed, same world.
        prepare: Puts what is bound to happen into the calendar, once everybody is there, before people choose friends.

    Attributes:
        slot: The last slot that has happened.
        actors: Everybody, by DID.
        posts: Every version of every post, as they were written.
        versions: The same by URI, first version first.
        answers: By URI of the post: what members and their acquaintances did to it (`repost`, `reply` or `quote`),
            from when to when.
        landmarks: Posts that the script comes back to.
        scenes: What is bound to happen, by slot.
        ties: Who follows whom, and likes what.
    """

    def __init__(self, seed: int, prepare: Callable[[Simulation], object]) -> None:
        self.seed = seed
        self.actors: dict[str, Actor] = {}
        self.posts: list[Post] = []
        self.reposts: list[Repost] = []
        self.posts_by_author: defaultdict[str, list[Post]] = defaultdict(list)
        self.reposts_by_author: defaultdict[str, list[Repost]] = defaultdict(list)
        self.versions: defaultdict[str, list[Post]] = defaultdict(list)
        self.answers: defaultdict[str, list[tuple[str, datetime, datetime | None]]] = defaultdict(list)
        self.blocks: list[Block] = []
        self.opt_outs: list[OptOut] = []
        self.landmarks: dict[str, Post] = {}
        self.scenes: defaultdict[int, list[Scene]] = defaultdict(list)
        self.ties = Ties(seed)
        self.slot = FIRST_SLOT - 1
        self._by_name: dict[str, Actor] = {}
        self._friends: dict[str, frozenset[str]] = {}
        self._recent: deque[Post] = deque(maxlen=150)
        self._clock = 0
        self.dice = Dice(seed, "people")
        for person in PEOPLE:
            self.introduce(
                person, evening(FIRST_SLOT) - timedelta(days=self.dice.between(30, 700)), evening(FIRST_SLOT)
            )
        self.packs, self.lists = self._found_packs()
        prepare(self)
        for actor in self.actors.values():
            self._befriend(actor)

    def actor(self, name: str) -> Actor:
        """Find somebody by the name that the script knows them by."""
        return self._by_name[name]

    def run_to(self, slot: int) -> None:
        """Let the world go on until the end of a slot."""
        while self.slot < slot:
            self.slot += 1
            self._run(self.slot)

    def introduce(self, person: Person, created_at: datetime, writes_from: datetime) -> Actor:
        """Give somebody an account."""
        dice = Dice(self.seed, "actor", person.name)
        identifier = did(f"{self.seed}/{person.name}")
        avatar = blob_cid(f"{self.seed}/{person.name}") if dice.chance(0.85) else None
        profile = named(Profile(created_at, UNNAMED, person.display_name, person.bio, avatar))
        actor = Actor(
            did=identifier,
            name=person.name,
            created_at=created_at,
            handles=[(created_at, f"{person.name}.bsky.test")],
            statuses=[(created_at, ACTIVE)],
            profiles=[profile],
            langs=person.langs,
            topics=person.topics,
            utc_offset_hours=person.utc_offset_hours,
            posts_per_day=person.posts_per_day,
            writes_from=writes_from,
            quiet_from=None,
            followers=person.followers,
            followers_per_day=round(person.followers**0.5 * (0.02 + 0.08 * dice.random()), 3),
            follows=dice.between(40, 900),
        )
        self.actors[identifier] = actor
        self._by_name[person.name] = actor
        return actor

    def add_member(self, members: MemberList, actor: Actor, at: datetime) -> None:
        """Put somebody on a list."""
        rkey = self.next_tid(at)
        uri = f"at://{members.creator}/{LIST_ITEM}/{rkey}"
        members.items.append(named(ListItem(uri, UNNAMED, rkey, members.uri, actor.did, at, None)))

    def remove_member(self, members: MemberList, actor: Actor, at: datetime) -> None:
        """Take somebody off a list."""
        for index, item in enumerate(members.items):
            if item.subject == actor.did and item.removed_at is None:
                members.items[index] = replace(item, removed_at=at)

    def write(
        self,
        actor: Actor,
        at: datetime,
        text: str | None,
        facets: tuple[Facet, ...] | None = None,
        *,
        langs: tuple[str, ...] | None = ("en",),
        tags: tuple[str, ...] | None = None,
        embed: Embed | None = None,
        reply: Reply | None = None,
        created_at: datetime | None = None,
        created_at_text: str | None = None,
        self_labels: tuple[str, ...] = (),
        labels: tuple[str, ...] = (),
        defect: Defect | None = None,
        extra: tuple[tuple[str, str], ...] = (),
        deleted_at: datetime | None = None,
        reach: float = 1.0,
    ) -> Post:
        """Write a post.

        It is sent `at` a moment and indexed a little later. `created_at` is what its record says instead, where that
        differs, and `created_at_text` how it says it, where that is not the usual form. `reach` is how much more, or
        less, it is noticed than what its author usually writes. For the rest see `Post`.
        """
        rkey = self.next_tid(at)
        created = created_at or at
        indexed_at = at + timedelta(milliseconds=self.dice.between(180, 2600))
        if defect in (Defect.CREATED_AT_MISSING, Defect.CREATED_AT_WORDS, Defect.CREATED_AT_NUMBER):
            written, created_at_text = None, None
        else:
            written, created_at_text = created, created_at_text or timestamp(created)
        unnamed = Post(
            uri=f"at://{actor.did}/{POST}/{rkey}",
            cid=UNNAMED,
            rkey=rkey,
            author=actor.did,
            text=text,
            langs=langs,
            facets=facets,
            tags=tags,
            embed=embed,
            reply=reply,
            created_at=written,
            created_at_text=created_at_text,
            indexed_at=indexed_at,
            deleted_at=deleted_at,
            replaced_at=None,
            self_labels=self_labels,
            labels=labels,
            engagement=self._engagement(actor, indexed_at, reach),
            defect=defect,
            extra=extra,
        )
        post = named(unnamed)
        self.posts.append(post)
        self.posts_by_author[actor.did].append(post)
        self.versions[post.uri].append(post)
        if reach > 1.0:
            # What is noticed more is also answered more.
            self._recent.append(post)
        if reply:
            self.answers[reply.parent.uri].append(("reply", indexed_at, deleted_at))
        if embed and embed.quoted:
            self.answers[embed.quoted.uri].append(("quote", indexed_at, deleted_at))
        return post

    def edit(self, post: Post, at: datetime, text: str) -> Post:
        """Replace a post by a version with another text: same URI, new CID, indexed anew."""
        indexed_at = at + timedelta(milliseconds=self.dice.between(180, 2600))
        newer = named(replace(post, text=text, facets=None, indexed_at=indexed_at))
        older = replace(post, replaced_at=indexed_at)
        for versions in (self.posts, self.posts_by_author[post.author], self.versions[post.uri]):
            versions[versions.index(post)] = older
            versions.append(newer)
        return newer

    def repost(self, actor: Actor, at: datetime, post: Post, deleted_at: datetime | None = None) -> Repost:
        """Repost a post."""
        rkey = self.next_tid(at)
        unnamed = Repost(
            uri=f"at://{actor.did}/{REPOST}/{rkey}",
            cid=UNNAMED,
            rkey=rkey,
            author=actor.did,
            subject=StrongRef(post.uri, post.cid),
            created_at=at,
            indexed_at=at + timedelta(milliseconds=self.dice.between(180, 2600)),
            deleted_at=deleted_at,
        )
        repost = named(unnamed)
        self.reposts.append(repost)
        self.reposts_by_author[actor.did].append(repost)
        self.answers[post.uri].append(("repost", repost.indexed_at, deleted_at))
        return repost

    def block(self, actor: Actor, subject: Actor, at: datetime) -> None:
        """Let somebody block somebody."""
        rkey = self.next_tid(at)
        uri = f"at://{actor.did}/{BLOCK}/{rkey}"
        self.blocks.append(named(Block(uri, UNNAMED, rkey, actor.did, subject.did, at)))

    def opt_out(self, actor: Actor, members: MemberList, at: datetime, until: datetime | None = None) -> None:
        """Let somebody opt out of a list, for good or until they take it back."""
        rkey = tid(at)
        uri = f"at://{actor.did}/{OPT_OUT}/{rkey}"
        self.opt_outs.append(named(OptOut(uri, UNNAMED, rkey, actor.did, at, until, members.uri)))

    def pin(self, actor: Actor, at: datetime, post: Post) -> None:
        """Let somebody pin a post to their profile."""
        self.change_profile(actor, at, pinned=StrongRef(post.uri, post.cid))

    def change_profile(
        self,
        actor: Actor,
        at: datetime,
        *,
        display_name: str | None = None,
        labels: tuple[str, ...] | None = None,
        pinned: StrongRef | None = None,
        links: Sequence[tuple[str, str | None, tuple[str, ...]]] | None = None,
    ) -> None:
        """Let somebody write a new version of their profile; what is not given stays.

        Links are told as (address, title, values of a labeler's labels), in the order in which the profile shows them.
        """
        last = actor.profiles[-1]
        newer = replace(
            last,
            since=at,
            display_name=last.display_name if display_name is None else display_name,
            labels=last.labels if labels is None else labels,
            pinned=pinned or last.pinned,
            links=last.links if links is None else self._profile_links(actor, at, links),
        )
        actor.profiles.append(named(newer))

    def _profile_links(
        self, actor: Actor, at: datetime, links: Sequence[tuple[str, str | None, tuple[str, ...]]]
    ) -> tuple[ProfileLink, ...]:
        """Give links the names of records, by their places: the world's clock does not tick for them."""
        uris = [f"at://{actor.did}/{PROFILE_LINK}/{tid(at, place)}" for place in range(len(links))]
        return tuple(
            ProfileLink(StrongRef(uri, cid(f"{self.seed}/{uri}")), *link) for uri, link in zip(uris, links, strict=True)
        )

    def next_cid(self) -> str:
        """Give the CID of something that no repository of this world has."""
        self._clock += 1
        return cid(f"{self.seed}/{self._clock}")

    def next_tid(self, at: datetime) -> str:
        """Give a record key for something that is sent at this moment."""
        self._clock += 1
        return tid(at, self._clock)

    def picture(self, alt: str | None) -> Media:
        """Take a picture."""
        self._clock += 1
        return Media("image", alt, blob_cid(f"{self.seed}/{self._clock}"), *self.dice.pick(((1600, 900), (1200, 1200))))

    def video(self, alt: str) -> Media:
        """Take a video; without alt text its record has no such field."""
        self._clock += 1
        return Media("video", alt or None, blob_cid(f"{self.seed}/{self._clock}"), 1280, 720)

    def _found_packs(self) -> tuple[tuple[StarterPack, ...], tuple[MemberList, ...]]:
        mara, mikkel, grace = self.actor("mara"), self.actor("mikkel"), self.actor("grace")
        people = self._list(mara, "referencelist", "Data People", "", -170)
        ducks = self._list(mikkel, "referencelist", "DuckDB & Friends", "", -120)
        talks = self._list(grace, "curatelist", "Data speakers 2026", "People worth a train ride.", -90)
        for members, group in ((people, "data"), (ducks, "duck"), (talks, "talks")):
            at = members.created_at
            for person in PEOPLE:
                if group in person.groups:
                    at += timedelta(seconds=self.dice.between(20, 90))
                    self.add_member(members, self.actor(person.name), at)
        packs = (
            self._pack(mara, people, "Data People who actually post about pipelines, models and ducks.", 412),
            self._pack(mikkel, ducks, "Small data, big fun. Extension authors and heavy users.", 57),
        )
        return packs, (talks,)

    def _list(self, creator: Actor, purpose: str, name: str, description: str, slot: int) -> MemberList:
        at = moment(slot, "18:00")
        rkey = self.next_tid(at)
        uri = f"at://{creator.did}/{LIST}/{rkey}"
        return named(MemberList(uri, UNNAMED, rkey, creator.did, purpose, name, description, at, []))

    def _pack(self, creator: Actor, members: MemberList, description: str, joined: int) -> StarterPack:
        at = members.created_at + timedelta(minutes=1)
        rkey = self.next_tid(at)
        unnamed = StarterPack(
            uri=f"at://{creator.did}/{STARTER_PACK}/{rkey}",
            cid=UNNAMED,
            rkey=rkey,
            creator=creator.did,
            name=members.name,
            description=description,
            created_at=at,
            list=members,
            short_code=members.rkey[-7:].upper(),
            joined_all_time=joined,
            joined_week=joined // 40,
        )
        return named(unnamed)

    def _befriend(self, actor: Actor) -> None:
        """Choose whom somebody answers most: a few people, rather of the same trade."""
        dice = Dice(self.seed, "friends", actor.name)
        others = [other for other in self.actors.values() if other is not actor and other.posts_per_day > 0]
        others.sort(key=lambda other: dice.random() - 0.4 * len(set(other.topics) & set(actor.topics)))
        self._friends[actor.did] = frozenset(other.did for other in others[: dice.between(4, 7)])
        self.ties.find_people(actor, others, self._friends[actor.did])

    def _run(self, slot: int) -> None:
        self.dice = Dice(self.seed, "slot", slot)
        self._comings_and_goings(slot)
        scenes = self.scenes.pop(slot, [])
        start = evening(slot - 1)
        weekday = evening(slot).weekday()
        for actor in list(self.actors.values()):
            quiet = actor.quiet_from is not None and actor.quiet_from <= start
            if quiet or start < actor.writes_from:
                continue
            count = self.dice.poisson(actor.posts_per_day * _WEEKDAYS[weekday])
            scenes.extend(self._ordinary_scene(actor, start) for _ in range(count))
        # Ties keep their order: sorting is stable.
        for _, act in sorted(scenes, key=lambda scene: scene[0]):
            act()
        for actor in self.actors.values():
            self.ties.look_around(actor, slot, self._recent)

    def _ordinary_scene(self, actor: Actor, start: datetime) -> Scene:
        local_hour = self.dice.weighted(range(24), _HOURS)
        hour = (local_hour - actor.utc_offset_hours) % 24
        at = start.replace(hour=0) + timedelta(
            days=0 if hour == 23 else 1, hours=hour, milliseconds=self.dice.between(0, 3_599_999)
        )
        return at, lambda: self._say_something(actor, at)

    def _say_something(self, actor: Actor, at: datetime) -> None:
        if actor.status(at) != ACTIVE:
            return
        throw = self.dice.random()
        if actor.name == "newsbot":
            throw = 1.0
        post: Post | None = None
        if throw < 0.54 and (target := self._target(actor, at)):
            if throw < 0.17:
                self.repost(actor, at, target, self._fate(actor, at, 0.03))
                return
            post = self._answer(actor, at, target) if throw < 0.46 else self._quote(actor, at, target)
        elif throw < 0.55:
            # A self-repost: last week's post, once more for the other half of the planet.
            own = [post for post in self.posts_by_author[actor.did][-12:] if post.exists(at) and post.defect is None]
            if own:
                self.repost(actor, at, self.dice.pick(own))
                return
        elif throw < 0.565:
            self._thread(actor, at)
            return
        post = post or self._original(actor, at)
        self._recent.append(post)

    def _target(self, actor: Actor, at: datetime) -> Post | None:
        """Choose what to react to: something recent, rather by a friend, in a language one speaks."""
        friends = self._friends.get(actor.did, frozenset())
        if self.dice.chance(0.65):
            possible = [post for post in self._recent if post.author in friends]
        else:
            possible = [post for post in self._recent if post.author != actor.did]
        for _ in range(3):
            if possible:
                post = self.dice.pick(possible[-40:])
                if post.exists(at) and self.actors[post.author].status(at) == ACTIVE:
                    return post
        return None

    def _answer(self, actor: Actor, at: datetime, target: Post) -> Post:
        parent = StrongRef(target.uri, target.cid)
        root = target.reply.root if target.reply else parent
        lang = self._lang(actor, target)
        templates = phrases.REPLIES if lang == "en" else phrases.OTHER_LANGUAGES[lang][1]
        text, facets = self._compose(self.dice.pick(templates), actor, lang)
        embed = self._pictures() if self.dice.chance(0.03) else None
        return self.write(
            actor, at, text, facets, langs=(lang,), embed=embed, reply=Reply(root, parent),
            deleted_at=self._fate(actor, at, 0.04), reach=0.12,
        )  # fmt: skip

    def _quote(self, actor: Actor, at: datetime, target: Post) -> Post:
        lang = self._lang(actor, target)
        templates = phrases.QUOTES if lang == "en" else phrases.OTHER_LANGUAGES[lang][1]
        text, facets = self._compose(self.dice.pick(templates), actor, lang)
        if self.dice.chance(0.2):
            pictures = self._pictures()
            embed = Embed(RECORD_WITH_MEDIA, media=pictures.media, quoted=StrongRef(target.uri, target.cid))
        else:
            detached = at + timedelta(hours=self.dice.between(1, 200)) if self.dice.chance(0.02) else None
            embed = Embed(RECORD, quoted=StrongRef(target.uri, target.cid), detached_at=detached)
        return self.write(
            actor, at, text, facets, langs=(lang,), embed=embed, deleted_at=self._fate(actor, at, 0.03), reach=0.5
        )

    def _thread(self, actor: Actor, at: datetime) -> None:
        first: Post | None = None
        reply: Reply | None = None
        for index, template in enumerate(self.dice.pick(phrases.THREADS)):
            text, facets = self._compose(template, actor, "en")
            sent_at = at + timedelta(seconds=index * self.dice.between(2, 40))
            post = self.write(actor, sent_at, text, facets, reply=reply, reach=1.6 if first is None else 0.4)
            ref = StrongRef(post.uri, post.cid)
            first = first or post
            reply = Reply(StrongRef(first.uri, first.cid), ref)
        if first:
            self._recent.append(first)

    def _original(self, actor: Actor, at: datetime) -> Post:
        lang = self._lang(actor, None)
        topic = self.dice.pick(actor.topics)
        if lang != "en":
            template = self.dice.pick(phrases.OTHER_LANGUAGES[lang][0])
        elif self.dice.chance(0.07):
            template = self.dice.pick(phrases.QUESTIONS)
        else:
            template = self.dice.pick(phrases.POSTS[topic])
        if actor.name == "newsbot":
            template = "New today: {link} {tag}"
        links = phrases.LINKS.get(topic) or phrases.LINKS["python"]
        link = self.dice.pick(links)
        text, facets = self._compose(template, actor, lang, topic, link)
        embed: Embed | None = None
        if "{link}" in template:
            embed = Embed(EXTERNAL, card=Card(*link)) if self.dice.chance(0.85) else None
        elif self.dice.chance(0.2):
            embed = self._pictures()
        langs: tuple[str, ...] | None = (lang,)
        if self.dice.chance(0.03):
            langs = None
        elif lang != "en" and self.dice.chance(0.05):
            langs = (lang, "en")
        return self.write(
            actor, at, text, facets, langs=langs, embed=embed, deleted_at=self._fate(actor, at, 0.03),
            tags=("data", topic) if self.dice.chance(0.01) else None,
            reach=12.0 if self.dice.chance(0.01) else 1.0,
        )  # fmt: skip

    def _pictures(self) -> Embed:
        alts = [self.dice.pick(phrases.ALT_TEXTS) if self.dice.chance(0.6) else "" for _ in range(7)]
        throw = self.dice.random()
        if throw < 0.12:
            return Embed(VIDEO, media=(self.video(alts[0]),))
        if throw < 0.2:
            return Embed(GALLERY, media=tuple(self.picture(alt) for alt in alts[: self.dice.between(3, 7)]))
        return Embed(IMAGES, media=tuple(self.picture(alt) for alt in alts[: self.dice.pick((1, 1, 1, 2, 4))]))

    def _lang(self, actor: Actor, target: Post | None) -> str:
        if target and target.langs and target.langs[0] in actor.langs:
            return target.langs[0]
        if target and "en" in actor.langs:
            return "en"
        return actor.langs[0] if self.dice.chance(0.7) else self.dice.pick(actor.langs)

    def _compose(
        self,
        template: str,
        actor: Actor,
        lang: str,
        topic: str | None = None,
        link: tuple[str, str, str] | None = None,
    ) -> tuple[str, tuple[Facet, ...] | None]:
        dice = self.dice

        def fill(slot: str) -> str | Marked:
            match slot:
                case "n":
                    return str(dice.pick((2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 17, 20, 24, 30, 36, 42, 48, 64, 90)))
                case "pct":
                    return f"{dice.between(3, 96)} %"
                case "tool":
                    return dice.pick(phrases.TOOLS)
                case "conf":
                    return dice.pick(phrases.CONFERENCES)
                case "city":
                    return dice.pick(phrases.CITIES)
                case "day":
                    return dice.pick(phrases.WEEKDAYS)
                case "tag":
                    tag = self._hashtag(topic or actor.topics[0], lang)
                    return Marked(f"#{tag}", "tag", tag)
                case "mention":
                    friends = sorted(self._friends.get(actor.did) or self.actors)
                    friend = self.actors[dice.pick(friends)]
                    return Marked(f"@{friend.handles[0][1]}", "mention", friend.did)
                case "link":
                    uri = (link or dice.pick(phrases.LINKS["python"]))[0]
                    shown = uri.removeprefix("https://").removeprefix("www.")
                    return Marked(shown if len(shown) <= 30 else shown[:27] + "...", "link", uri)
            raise KeyError(slot)

        return compose(template, fill)

    def _hashtag(self, topic: str, lang: str) -> str:
        """Choose a hashtag; which ones are in fashion changes from week to week."""
        week = (self.slot - FIRST_SLOT) // 7
        tags: Sequence[str] = phrases.HASHTAGS[topic if lang == "en" else lang]
        weights = []
        for tag in tags:
            if tag in _RISING:
                weights.append(max(1, week - 18))
            elif tag in _FALLING:
                weights.append(max(1, 30 - week))
            else:
                weights.append(_WAVE[(week + len(tag)) % len(_WAVE)])
        return self.dice.weighted(tags, tuple(accumulate(weights)))

    def _engagement(self, actor: Actor, since: datetime, reach: float) -> Engagement:
        dice = self.dice
        luck = abs(dice.bell()) if reach > 1.0 else dice.bell()
        likes = 0.25 * max(actor.followers, 1) ** 0.55 * math.exp(1.1 * luck) * reach
        if dice.chance(0.22) and reach <= 1.0:
            likes = 0.0
        return Engagement(
            since=since,
            half_life_hours=float(dice.between(60, 400) if dice.chance(0.07) and reach <= 1.0 else dice.between(2, 16)),
            likes=int(likes),
            reposts=int(likes * 0.16 * dice.random()),
            replies=int(likes * 0.12 * dice.random()),
            quotes=int(likes * 0.05 * dice.random()),
            bookmarks=int(likes * 0.15 * dice.random()),
        )

    def _fate(self, actor: Actor, at: datetime, probability: float) -> datetime | None:
        """Settle whether and when something will be deleted: mostly soon, sometimes after weeks."""
        if not self.dice.chance(probability):
            return None
        throw = self.dice.random()
        if throw < 0.4:
            deleted_at = at + timedelta(seconds=self.dice.between(60, 86_400))
        else:
            deleted_at = at + timedelta(seconds=self.dice.between(86_400, (6 if throw < 0.75 else 60) * 86_400))
        return deleted_at if actor.status(deleted_at) == ACTIVE else None

    def _comings_and_goings(self, slot: int) -> None:
        """After the days that the script tells, somebody new joins the main pack every week and somebody leaves."""
        members = self.packs[0].list
        if slot > 10 and slot % 7 == 4:
            first = NEWCOMER_FIRST_NAMES[slot // 7 % len(NEWCOMER_FIRST_NAMES)]
            last = NEWCOMER_LAST_NAMES[slot // 7 % len(NEWCOMER_LAST_NAMES)]
            person = Person(
                name=f"{first}-{last}-{slot}",
                display_name=f"{first.title()} {last.title()}",
                bio="New here.",
                langs=("en",),
                utc_offset_hours=self.dice.between(-8, 9),
                posts_per_day=0.6 + 1.5 * self.dice.random(),
                followers=self.dice.between(20, 900),
                topics=self.dice.pick(PEOPLE[:25]).topics,
                groups=(),
            )
            created_at = moment(slot, "10:12")
            actor = self.introduce(person, created_at, created_at)
            self._befriend(actor)
            joins_at = created_at + timedelta(days=2)
            self.scenes[slot + 2].append((joins_at, partial(self.add_member, members, actor, joins_at)))
        if slot > 10 and slot % 11 == 1:
            at = moment(slot, "15:40")
            present = [item.subject for item in members.items if item.exists(at) and item.subject != members.creator]
            leaver = self.actors[self.dice.pick(present)]
            self.scenes[slot].append((at, partial(self.remove_member, members, leaver, at)))
