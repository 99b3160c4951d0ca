// Who somebody is, and the table of all of them. Text of other people is only ever set as text.

function initials(person) {
  const name = person.name?.trim() || person.handle || "?";
  const words = name.split(/\s+/).filter((word) => /[\p{L}\p{N}\p{Extended_Pictographic}]/u.test(word));
  const letters = (words.length ? words : [name]).slice(0, 2).map((word) => {
    const first = word.match(/\p{Extended_Pictographic}|[\p{L}\p{N}]/u);
    return first ? first[0] : [...word][0];
  });
  return letters.join("").toLocaleUpperCase("en");
}

function avatar(person) {
  const element = h("span", { class: "avatar", "aria-hidden": "true" }, initials(person));
  let hue = 0;
  for (const character of person.did) hue = (hue * 31 + character.codePointAt(0)) % 360;
  element.style.setProperty("--hue", hue);
  return element;
}

const memberOf = new Map((content.members ?? []).map((row) => [row.who, row]));

/** What of this page's address stands for somebody: the handle, or the DID of whoever has none of their own. */
const anchors = new Map();
for (const index of memberOf.keys()) {
  const { did, handle } = content.people[index];
  anchors.set(handle && handle !== "handle.invalid" && !anchors.has(`@${handle}`) ? `@${handle}` : did, index);
}
const anchorOf = new Map([...anchors].map(([anchor, index]) => [index, anchor]));

const profileUrl = (person) => `https://bsky.app/profile/${person.did}`;
const nameOf = (person) => person.name?.trim() || person.handle || person.did;

function link(url, text, attributes = {}) {
  // Addresses come from other people: nothing but the web is linked.
  if (!/^https?:\/\//i.test(url ?? "")) return h("span", attributes, text);
  return h("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank", ...attributes }, text);
}

/** Somebody's name: it leads to their profile here, and to Bluesky's of whoever is in no pack. */
function nameLink(index) {
  const person = content.people[index];
  const name = h("bdi", {}, nameOf(person));
  return anchorOf.has(index) ? h("a", { href: `#${anchorOf.get(index)}` }, name) : link(profileUrl(person), name);
}

/** Somebody, in a file. */
const handleOf = (index) => content.people[index].handle ?? content.people[index].did;

const shortAddress = (url) => url.replace(/^https?:\/\/(www\.)?/, "").slice(0, 90);

function who(index, extra = null) {
  const person = content.people[index];
  return h(
    "span",
    { class: "who" },
    avatar(person),
    h(
      "span",
      { class: "names" },
      nameLink(index),
      h(
        "span",
        { class: "handle" },
        h("bdi", {}, person.handle ? `@${person.handle}` : person.did),
        person.is_bot ? " · bot" : null,
        extra,
      ),
    ),
  );
}

/**
 * The columns of the table of people, in their order. `key` is the name in `content.members`; `show` makes the cell;
 * `value` gives what to sort by where that is another thing, and `file` what a file has; small screens leave out what
 * `isForWideScreens`.
 */
const COLUMNS = [
  {
    key: "name",
    name: "Name",
    value: (row) => nameOf(content.people[row.who]).toLocaleLowerCase("en"),
    file: (row) => nameOf(content.people[row.who]),
    show: (row) => who(row.who),
    isText: true,
  },
  { key: "score", name: "Score", show: (row) => scoreOf(row) },
  { key: "posts_last_week", name: "Posts, 7 d", show: (row) => number(row.posts_last_week) },
  { key: "posts_per_day", name: "Posts a day", show: (row) => decimal(row.posts_per_day), isForWideScreens: true },
  { key: "reposts_last_month", name: "Reposts", show: (row) => number(row.reposts_last_month), isForWideScreens: true },
  { key: "engagement_last_month", name: "Reactions", show: (row) => number(row.engagement_last_month) },
  {
    key: "median_engagement_last_month",
    name: "Usual post",
    show: (row) => decimal(row.median_engagement_last_month),
    isForWideScreens: true,
  },
  { key: "followers_count", name: "Followers", show: (row) => number(row.followers_count), isForWideScreens: true },
  {
    key: "followers_change_week",
    name: "+ 7 d",
    show: (row) => (row.followers_change_week === null ? "–" : signed(row.followers_change_week)),
    isForWideScreens: true,
  },
  {
    key: "last_active_at",
    name: "Active",
    show: (row) => (row.last_active_at ? lastActive(row.last_active_at) : "–"),
    isForWideScreens: true,
  },
  {
    key: "links",
    name: "Links",
    value: (row) => row.links?.length ?? null,
    file: (row) => row.links?.map(({ url }) => url).join(" "),
    show: (row) => (row.links?.length ? h("ul", { class: "own-links" }, row.links.map(ownLink)) : "–"),
    isForWideScreens: true,
  },
];

const FILE_OF_PEOPLE = Object.fromEntries(COLUMNS.map(({ key, file }) => [key, file ?? key]));

/** A link of somebody's profile: a title may say anything, so the address is told with it. */
function ownLink({ url, title }) {
  const text = h("bdi", {}, title?.trim() || shortAddress(url ?? ""));
  return h("li", {}, url?.startsWith("https://") ? link(url, text, { title: url }) : text);
}

function scoreOf(row) {
  const inner = h("i", {});
  inner.style.width = `${row.score ?? 0}%`;
  return h("span", { class: "score" }, h("span", { class: "meter", "aria-hidden": "true" }, inner), number(row.score));
}

function showMembers() {
  const column = COLUMNS.find((each) => each.key === state.sort);
  const value = column.value ?? ((row) => row[column.key]);
  const wanted = state.search.trim().toLocaleLowerCase("en").replace(/^@/, "");
  const inPack = content.members.filter((row) => state.pack === 0 || row.packs.includes(state.pack));
  const found = inPack.filter((row) => {
    const person = content.people[row.who];
    return !wanted || `${person.name ?? ""} ${person.handle ?? ""}`.toLocaleLowerCase("en").includes(wanted);
  });
  found.sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    // What is not known comes last, whichever way the column is sorted.
    if (left === null || right === null) return (left === null) - (right === null);
    const order = column.isText ? left.localeCompare(right, "en") : left < right ? -1 : left > right ? 1 : 0;
    return state.isDescending ? -order : order;
  });
  one("#found").textContent = wanted
    ? `${number(found.length)} of ${count(inPack.length, "person", "people")}`
    : count(inPack.length, "person", "people");
  const shown = state.isWhole || wanted ? found : found.slice(0, FIRST_MEMBERS);
  one("#all-people").hidden = shown.length === found.length;
  one("#all-people").textContent = `Show all ${number(found.length)}`;
  const heads = COLUMNS.map((each) =>
    h(
      "th",
      {
        scope: "col",
        class: each.isForWideScreens ? "for-wide-screens" : null,
        "aria-sort": each === column ? (state.isDescending ? "descending" : "ascending") : null,
      },
      h("button", { type: "button", "data-sort": each.key }, each.name),
    ),
  );
  offer("people", found, { handle: (row) => handleOf(row.who), ...FILE_OF_PEOPLE });
  one("#people").replaceChildren(
    h("caption", { class: "unseen" }, "People; the buttons in the heading sort."),
    h("thead", {}, h("tr", {}, heads)),
    h(
      "tbody",
      {},
      shown.map((row) =>
        h(
          "tr",
          {},
          COLUMNS.map((each, index) =>
            h(
              index ? "td" : "th",
              { scope: index ? null : "row", class: each.isForWideScreens ? "for-wide-screens" : null },
              each.show(row),
            ),
          ),
        ),
      ),
    ),
  );
}

function showComersAndGoers() {
  fill(
    "newcomers",
    content.newcomers[state.pack].map((row) =>
      h(
        "li",
        {},
        who(row.who),
        h(
          "small",
          {},
          `seen ${shortDate(row.member_from)}`,
          h("br"),
          `${count(row.post_count, "post")} · ${count(row.followers_count ?? 0, "follower")}`,
        ),
      ),
    ),
    content.nights.length > 1 ? "Nobody new in the last 28 days." : "Newcomers show from the second night on.",
    8,
  );
  offer("newcomers", content.newcomers[state.pack], {
    handle: (row) => handleOf(row.who),
    seen_at: "member_from",
    posts: "post_count",
    followers: "followers_count",
    last_active_at: "last_active_at",
  });
  fill(
    "quiet",
    content.quiet[state.pack].map((row) =>
      h(
        "li",
        {},
        who(row.who),
        h(
          "small",
          {},
          `quiet for ${count(Math.floor(row.quiet_days), "day")}`,
          h("br"),
          `used to post ${decimal(row.usual_actions_per_week)} a week`,
        ),
      ),
    ),
    "Everybody posted in the last two weeks.",
    8,
  );
  offer("went-quiet", content.quiet[state.pack], {
    handle: (row) => handleOf(row.who),
    last_active_at: "last_active_at",
    quiet_days: "quiet_days",
    usual_a_week: "usual_actions_per_week",
  });
}
