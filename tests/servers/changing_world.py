"""People on a PDS whose records change from day to day: written, dated back, edited and deleted, whatever their age."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any, Final, TypeVar

import urllib3

from tests.servers.atnet.resident import POST, Resident, as_admin, post

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

Json = dict[str, Any]
Value = TypeVar("Value")

REPOST: Final = "app.bsky.feed.repost"
LIKE: Final = "app.bsky.feed.like"
FOLLOW: Final = "app.bsky.graph.follow"
PROFILE: Final = "app.bsky.actor.profile"
_MOST_WRITES: Final = 200
_MOST_WAITS: Final = 10
_WRITE: Final = "com.atproto.repo.applyWrites#"


@dataclass(frozen=True)
class Written:
    """A record that somebody has in their repository.

    Attributes:
        value: Its record.
    """

    uri: str
    cid: str
    value: Json

    @property
    def link(self) -> Json:
        """The record as another names it."""
        return {"uri": self.uri, "cid": self.cid}

    @property
    def rkey(self) -> str:
        return self.uri.rpartition("/")[2]


class Person(Resident):
    """A resident who keeps in mind what they have written.

    Attributes:
        posts: By URI.
        reposts: By URI.
        ties: Follows and likes, by URI.
    """

    def __init__(self, atnet: Json) -> None:
        super().__init__(atnet)
        self.posts: dict[str, Written] = {}
        self.reposts: dict[str, Written] = {}
        self.ties: dict[str, Written] = {}

    def post(self, *ages: timedelta) -> list[Written]:
        """Write posts, each as old as its age says."""
        return self.publish(
            {"text": f"Number {number} of {age}", "createdAt": ago(age)} for number, age in enumerate(ages)
        )

    def publish(self, values: Iterable[Json]) -> list[Written]:
        """Write these posts."""
        written = self._create(POST, values)
        self.posts |= {one.uri: one for one in written}
        return written

    def say(self, text: str, **more: Json) -> Written:
        """Write a post now that they do not keep in mind, so that no day edits or deletes it."""
        [written] = self._create(POST, [{"text": text, "createdAt": ago(timedelta())} | more])
        return written

    def repost(self, *subjects: tuple[Written, timedelta]) -> list[Written]:
        """Repost posts, each so long ago, by what the reposts say."""
        values = ({"subject": subject.link, "createdAt": ago(age)} for subject, age in subjects)
        written = self._create(REPOST, values)
        self.reposts |= {one.uri: one for one in written}
        return written

    def like(self, *subjects: Written) -> None:
        self._tie(LIKE, (subject.link for subject in subjects))

    def follow(self, *others: Person) -> None:
        self._tie(FOLLOW, (other.did for other in others))

    def introduce(self, name: str) -> None:
        value = {"$type": PROFILE, "displayName": name}
        self.apply({"$type": f"{_WRITE}create", "collection": PROFILE, "rkey": "self", "value": value})

    def edit(self, old: Written, text: str) -> Written:
        """Write another version of a post."""
        value = old.value | {"text": text}
        [result] = self.apply({"$type": f"{_WRITE}update", "collection": POST, "rkey": old.rkey, "value": value})
        self.posts[old.uri] = Written(old.uri, result["cid"], value)
        return self.posts[old.uri]

    def delete(self, *records: Written) -> None:
        for some in in_commits(records):
            self.apply(
                *({"$type": f"{_WRITE}delete", "collection": one.uri.split("/")[3], "rkey": one.rkey} for one in some)
            )
        for one in records:
            for kept in (self.posts, self.reposts, self.ties):
                kept.pop(one.uri, None)

    def _tie(self, collection: str, subjects: Iterable[str | Json]) -> None:
        made = self._create(collection, ({"subject": subject, "createdAt": ago(timedelta())} for subject in subjects))
        self.ties |= {one.uri: one for one in made}

    def _create(self, collection: str, values: Iterable[Json]) -> list[Written]:
        written: list[Written] = []
        for some in in_commits({"$type": collection} | value for value in values):
            writes = ({"$type": f"{_WRITE}create", "collection": collection, "value": value} for value in some)
            results = self.apply(*writes)
            written += [
                Written(result["uri"], result["cid"], value) for result, value in zip(results, some, strict=True)
            ]
        return written


def in_commits(values: Iterable[Value]) -> Iterator[tuple[Value, ...]]:
    """Take as many as go into one commit at a time."""
    rest = iter(values)
    while some := tuple(islice(rest, _MOST_WRITES)):
        yield some


def ago(age: timedelta) -> str:
    """Write the time that was so long ago, as records do."""
    return (datetime.now(UTC) - age).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class ChangingWorld:
    """Some people with parts of their own, and others who do anything, the same for the same seed.

    Args:
        atnet: Where they are.
        seed: For another world.
        scale: How many times as much those write who write most. With 14, there are 20,000 posts and reposts.

    Attributes:
        others: Those who do anything.
        stranger: One whom nobody reads.
        talked_about: A post that everybody likes, with answers three deep, and quotes.
        taken_down: Posts that the AppView's moderators took down, by URI.
    """

    def __init__(self, atnet: Json, seed: int = 1, *, scale: int = 1) -> None:
        self._atnet, self._chance, self._chance_of_ties = atnet, Random(seed), Random(seed)
        self.taken_down: dict[str, Written] = {}
        self.reposter, self.cut, self.almost, self.old, self.heard = (Person(atnet) for _ in range(5))
        self.others = [Person(atnet) for _ in range(15)]
        self.stranger = Person(atnet)
        days = timedelta(days=1)
        self.reposter.post(*(2 * number * days for number in range(150)))
        self.cut.post(*(timedelta(minutes=20 * number) for number in range(260)))
        self.almost.post(*(3 * number * days for number in range(104)))
        self.old.post(*(2 * number * days for number in range(220)))
        self.heard.post(*(number * days for number in range(3)))
        sizes = [2, 5, 10, 20, 30, 40, 50, *(scale * size for size in (60, 80, 99, 100, 101, 130, 180, 260))]
        posts = dict(zip(self.others, sizes, strict=True))
        for person, size in posts.items():
            person.introduce(f"Person of {size} posts")
        self._in_rounds(posts, self._posts)
        self._reposts(self.reposter, 40, lambda: timedelta(days=self._chance.uniform(20, 200)))
        reposts = {person: size // 3 for person, size in posts.items()}
        self._in_rounds(reposts, lambda person, count: self._reposts(person, count, self._any_age))
        for person in self.others:
            person.like(*self._some_posts(3))
            person.follow(self.stranger, *self._chance_of_ties.sample(self.people, 4))
        [self.talked_about] = self.heard.post(timedelta())
        for person in self.people:
            person.like(self.talked_about)
        self._talk(self.talked_about, [self.stranger, *self.others])
        self.settle()

    @property
    def people(self) -> list[Person]:
        return [self.reposter, self.cut, self.almost, self.old, self.heard, *self.others]

    @property
    def living(self) -> dict[str, Json]:
        """What the PDS says that there is: each post and repost of these people, by URI."""
        return {
            uri: {"cid": cid} | value
            for person in self.people
            for collection in (POST, REPOST)
            for uri, (cid, value) in person.records(collection).items()
        }

    @property
    def reactions(self) -> set[tuple[str, str, str]]:
        """What the PDS says of who reacted to what: kind, URI of the post, DID."""
        found = set()
        for person in [*self.people, self.stranger]:
            for kind, collection in (("like", LIKE), ("repost", REPOST)):
                records = person.records(collection).values()
                found |= {(kind, value["subject"]["uri"], person.did) for _, value in records}
            for _, value in person.records(POST).values():
                if "reply" in value:
                    found.add(("reply", value["reply"]["parent"]["uri"], person.did))
                if "record" in value.get("embed", {}):
                    found.add(("quote", value["embed"]["record"]["uri"], person.did))
        return found

    @property
    def ties(self) -> set[str]:
        """What the PDS says of whom these people follow, and what they like: URIs."""
        return {uri for person in self.people for collection in (FOLLOW, LIKE) for uri in person.records(collection)}

    def pass_a_day(self) -> None:
        """Let half of the people do something."""
        for person in self._chance.sample(self.others, 8):
            self._posts(person, self._chance.randint(0, 5))
            self._reposts(person, self._chance.randint(0, 5), self._any_age)
            for old in self._some(list(person.posts.values()), 2):
                person.edit(old, f"Edited, after {old.value['text']}")
            person.delete(*self._some(list(person.posts.values()), 1 + len(person.posts) // 30))
            person.delete(*self._some(list(person.reposts.values()), 1))
            self._change_ties(person)
        self.settle()

    def edit_what_was_reposted(self) -> None:
        """Write a new version of a post that another has reposted: the repost stays."""
        posts = {uri: (person, one) for person in self.others for uri, one in person.posts.items()}
        reposted = [repost.value["subject"]["uri"] for person in self.others for repost in person.reposts.values()]
        person, old = next(posts[uri] for uri in reposted if uri in posts)
        person.edit(old, "Edited, though it was reposted")
        self.settle()

    def take_down(self, one: Written) -> None:
        """Let the AppView hide a post that its author keeps."""
        subject = {"$type": "com.atproto.repo.strongRef", **one.link}
        url = f"{self._atnet['appview']}/xrpc/com.atproto.admin.updateSubjectStatus"
        post(url, {"subject": subject, "takedown": {"applied": True, "ref": "test"}}, as_admin("admin-pass"))
        self.taken_down[one.uri] = one

    def settle(self) -> None:
        """Wait until the AppView has read what was written."""
        url = f"{self._atnet['control']}/settle"
        # The server closes a connection that nobody used for a while, maybe just when it is used again.
        ask = partial(urllib3.request, "POST", url, timeout=150, headers={"Connection": "close"})
        assert any(ask().status == HTTPStatus.OK for _ in range(_MOST_WAITS))

    def _any_age(self) -> timedelta:
        """As often as not today, or this week, else some time in the last two years."""
        days = self._chance.choice([0.0, self._chance.uniform(0, 7), self._chance.uniform(7, 700)])
        return timedelta(days=days)

    def _in_rounds(self, counts: Mapping[Person, int], write: Callable[[Person, int], None]) -> None:
        """Let everybody write a commit in turn, and wait: the AppView reads many people at once, and is slow."""
        while counts:
            for person, count in counts.items():
                write(person, min(count, _MOST_WRITES))
            counts = {person: count - _MOST_WRITES for person, count in counts.items() if count > _MOST_WRITES}
            self.settle()

    def _posts(self, person: Person, count: int) -> None:
        known = [one for other in self.others for one in other.posts.values()]
        person.publish(self._any_post(number, known) for number in range(count))

    def _any_post(self, number: int, known: Sequence[Written]) -> Json:
        """Make a post of any kind, as often as not one that is text alone."""
        text = f"Number {number} 🦆 #any"
        post: Json = {"text": text, "createdAt": ago(self._any_age())}
        about = self._chance.choice(known).link if known else None
        match self._chance.randrange(8):
            case 0 if about:
                post["reply"] = {"root": about, "parent": about}
            case 1 if about:
                post["embed"] = {"$type": "app.bsky.embed.record", "record": about}
            case 2:
                card = {"uri": "https://example.org/a-story", "title": "A story", "description": "Of it"}
                post["embed"] = {"$type": "app.bsky.embed.external", "external": card}
            case 3:
                tag = {"$type": "app.bsky.richtext.facet#tag", "tag": "any"}
                size = len(text.encode())
                post["facets"] = [{"index": {"byteStart": size - len("#any"), "byteEnd": size}, "features": [tag]}]
        return post

    def _reposts(self, person: Person, count: int, age: Callable[[], timedelta]) -> None:
        person.repost(*((subject, age()) for subject in self._some_posts(count)))

    def _talk(self, about: Written, people: Sequence[Person]) -> None:
        """Let some answer a post, and each other, and quote it."""
        for talkers in (people[:3], people[3:6]):
            parent = about
            for person in talkers:
                parent = person.say("Ah", reply={"root": about.link, "parent": parent.link})
        for person in people[:2]:
            person.say("See", embed={"$type": "app.bsky.embed.record", "record": about.link})

    def _change_ties(self, person: Person) -> None:
        """Let somebody take back what they liked or whom they follow, and find others."""
        chance = self._chance_of_ties
        person.delete(*chance.sample(list(person.ties.values()), 2))
        person.follow(*chance.sample(self.people, 2))
        person.like(*chance.sample([one for other in self.others for one in other.posts.values()], 2))

    def _some_posts(self, count: int) -> list[Written]:
        return self._some([one for person in self.others for one in person.posts.values()], count)

    def _some(self, written: list[Written], count: int) -> list[Written]:
        return self._chance.sample(written, min(count, len(written)))
