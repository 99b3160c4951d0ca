// Who talks with whom, who follows whom, and who is close without being in a pack.

const MOST_DRAWN = 60;
const TIE_WORDS = { interactions: "talk", follows: "follows", both: "both" };

const isIn = (pack, person) => pack === 0 || memberOf.get(person).packs.includes(pack);
const followsIn = (pack) => content.follows.filter((pair) => pair.every((person) => isIn(pack, person)));
const follow = new Set((content.follows ?? []).map((pair) => pair.join()));
const areMutual = (one, other) => follow.has(`${one},${other}`) || follow.has(`${other},${one}`);

/** A pack's group of somebody: its place by size, or null. */
function groupOf(pack, person) {
  const place = content.groups[pack].findIndex(({ members }) => members.includes(person));
  return place < 0 ? null : place;
}

/** What is drawn of ties: what passed between two people, that they follow each other, or both among the same people. */
function tiesToDraw(kind, view, follows) {
  const talks = view.ties.map((tie) => ({ ...tie, weight: tie.given + tie.returned }));
  if (kind === "interactions") return talks;
  if (kind === "both") {
    const drawn = new Set(talks.flatMap(({ one, other }) => [one, other]));
    const among = follows.filter((pair) => pair.every((person) => drawn.has(person)));
    return [...among.map(([one, other]) => ({ one, other, weight: 1, isFollow: true, isDashed: true })), ...talks];
  }
  const counts = new Map();
  for (const person of follows.flat()) counts.set(person, (counts.get(person) ?? 0) + 1);
  const most = new Set([...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a) || a - b).slice(0, MOST_DRAWN));
  return follows
    .filter((pair) => pair.every((person) => most.has(person)))
    .map(([one, other]) => ({ one, other, weight: 1, isFollow: true }));
}

function showNetwork(view, period) {
  const words = PERIOD_WORDS[period.name];
  const follows = followsIn(state.pack);
  one("#tie-filter").hidden = !follows.length;
  const kind = follows.length ? state.tie : "interactions";
  showStrongest(view, words);
  showBridges();
  const host = one('[data-chart="network"]');
  const note = one('[data-note="network"]');
  const ties = tiesToDraw(kind, view, follows);
  if (!ties.length) {
    note.textContent = "";
    groupLegend([]);
    return noChart(host, "No ties to draw.");
  }
  const tiesOf = new Map();
  for (const tie of ties)
    for (const [person, other] of [
      [tie.one, tie.other],
      [tie.other, tie.one],
    ])
      tiesOf.set(person, [...(tiesOf.get(person) ?? []), { ...tie, other }]);
  const weights = new Map([...tiesOf].map(([person, each]) => [person, sum(each.map(({ weight }) => weight))]));
  const people = [...weights.keys()].sort((a, b) => weights.get(b) - weights.get(a) || a - b);
  const place = new Map(people.map((person, index) => [person, index]));
  const groups = people.map((person) => groupOf(state.pack, person));
  const talks = ties.filter((tie) => "given" in tie).length;
  note.textContent = {
    interactions: `Replies, quotes, reposts and mentions between people here: the ${talks === 1 ? "only tie" : `${number(talks)} strongest ties`}. A thicker line is more of them.`,
    follows: `${count(follows.length, "pair")} of people here follow each other${ties.length < follows.length ? `; drawn are the ${number(MOST_DRAWN)} people who have most of them` : ""}. A larger mark has more of them.`,
    both: `The ${number(talks)} strongest ties of replies, quotes, reposts and mentions, as full lines; a dashed line is between people who follow each other.`,
  }[kind];
  groupLegend(groups);
  chart(host, {
    name: "ties",
    label: `Network: ${number(people.length)} people and ${number(ties.length)} ties between them ${kind === "follows" ? "who follow each other" : words.last}. ${nameOf(content.people[people[0]])} has the most.`,
    draw: network({
      nodes: people.map((person, index) => ({
        name: nameOf(content.people[person]),
        weight: weights.get(person),
        group: groups[index],
        text: tieText(person, groups[index], tiesOf.get(person)),
        open: () => openPerson(person),
      })),
      edges: ties.map((tie) => ({ ...tie, one: place.get(tie.one), other: place.get(tie.other) })),
    }),
    table: () => ({
      head: ["One", "other", "replies", "quotes", "reposts", "mentions", "in all", "follow each other"],
      rows: ties.map((tie) => [
        handleOf(tie.one),
        handleOf(tie.other),
        ...["replies", "quotes", "reposts", "mentions"].map((kind) => tie[kind] ?? null),
        "given" in tie ? tie.weight : null,
        areMutual(tie.one, tie.other) ? "yes" : "no",
      ]),
    }),
  });
}

function tieText(person, group, ties) {
  const strongest = ties.sort((a, b) => b.weight - a.weight).slice(0, 4);
  const others = strongest.map(
    (tie) => nameOf(content.people[tie.other]) + ("given" in tie ? ` (${number(tie.weight)})` : ""),
  );
  return [
    nameOf(content.people[person]),
    ...(group === null ? [] : [`Group of ${nameOf(content.people[content.groups[state.pack][group].of])}`]),
    others.join(", ") + (ties.length > 4 ? ` and ${ties.length - 4} more` : ""),
  ].join("\n");
}

/** Name the groups of whoever is drawn: each has a shape of its own besides its colour. */
function groupLegend(groups) {
  const drawn = [...new Set(groups)].sort((a, b) => (a ?? Infinity) - (b ?? Infinity));
  const key = (group, ...words) =>
    h(
      "span",
      {},
      h("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, groupMark(group, 7, 7, 5.5)),
      h("span", {}, ...words),
    );
  const named = drawn.filter((group) => group !== null && group < GROUP_SHAPES.length);
  const isAnyElse = named.length < drawn.length;
  one('[data-legend="network"]').replaceChildren(
    ...named.map((group) => {
      const { of, members } = content.groups[state.pack][group];
      return key(group, "Group of ", nameLink(of), ` · ${count(members.length, "person", "people")}`);
    }),
    ...(named.length && isAnyElse ? [key(null, "in a smaller group, or in none")] : []),
  );
}

/** The strongest ties in words, beside the picture. */
function showStrongest(view, words) {
  const tell = (tie) =>
    [
      [tie.replies, "reply", "replies"],
      [tie.quotes, "quote", "quotes"],
      [tie.reposts, "repost", "reposts"],
      [tie.mentions, "mention", "mentions"],
    ]
      .filter(([value]) => value)
      .map(([value, singular, plural]) => count(value, singular, plural))
      .join(", ");
  fill(
    "ties",
    view.ties.slice(0, 8).map((tie) => {
      const [first, second] = tie.given >= tie.returned ? [tie.one, tie.other] : [tie.other, tie.one];
      const isBothWays = tie.given && tie.returned;
      return h(
        "li",
        {},
        nameLink(first),
        isBothWays ? " and " : " to ",
        nameLink(second),
        h(
          "small",
          {},
          `${tell(tie)}${isBothWays ? `; ${number(Math.max(tie.given, tie.returned))} one way, ${number(Math.min(tie.given, tie.returned))} the other` : ""}`,
        ),
      );
    }),
    `Nobody here replied to, quoted, reposted or mentioned another ${words.last}.`,
  );
}

function showBridges() {
  const bridges = content.bridges[state.pack];
  one('[data-note="bridges"]').replaceChildren(
    ...(bridges.length
      ? [
          "Many of the shortest ways between people lead through ",
          ...bridges.flatMap(({ who: person }, index) => [
            index ? (index === bridges.length - 1 ? " and " : ", ") : "",
            nameLink(person),
          ]),
          ": by follows, they connect the groups.",
        ]
      : []),
  );
}

function showFollows() {
  const fresh = content.new_follows[state.pack];
  fill(
    "new-follows",
    fresh.map((row) =>
      h(
        "li",
        {},
        h(
          "span",
          {},
          nameLink(row.one),
          " follows ",
          nameLink(row.other),
          areMutual(row.one, row.other) ? ", and is followed back" : "",
        ),
        h("small", {}, h("time", { datetime: row.at }, shortDate(row.at))),
      ),
    ),
    "Nobody here is known to have begun to follow another.",
    8,
  );
  offer("new-follows", fresh, {
    follower: (row) => handleOf(row.one),
    followed: (row) => handleOf(row.other),
    followed_at: "at",
  });
  const outside = content.outside[state.pack];
  fill(
    "outside",
    outside.map((row) =>
      h(
        "li",
        {},
        who(row.who),
        h("small", {}, `followed by ${number(row.followers)}`, h("br"), `${percent(row.share, 1)} of people here`),
      ),
    ),
    "Nobody outside is known whom three or more people here follow.",
    8,
  );
  offer("close-to-us", outside, {
    handle: (row) => handleOf(row.who),
    followed_by: "followers",
    share: "share",
  });
}
