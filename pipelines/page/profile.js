// A small profile of each member, at `#@handle`: it opens over the page, and the browser's back button leaves it.

const profile = one("#person");
const weeksHost = h("div", {});

function openPerson(index) {
  location.hash = `#${anchorOf.get(index)}`;
}

/** Show whom the address names, or nobody. */
function followAddress() {
  const index = anchors.get(location.hash.slice(1));
  if (index === undefined) return profile.close();
  one("#person-body").replaceChildren(...profileOf(index));
  if (!profile.open) profile.showModal();
  showWeeks(memberOf.get(index));
  profile.scrollTop = 0;
  one("#person-name").focus();
}

function profileOf(index) {
  const person = content.people[index];
  const row = memberOf.get(index);
  const group = groupOf(0, index);
  const packs = row.packs.map((pack) => content.packs[pack].name || "an unnamed pack");
  const follows = content.follows
    .filter((pair) => pair.includes(index))
    .map(([one, other]) => (one === index ? other : one));
  const facts = [
    ["Posts, 7 days", number(row.posts_last_week)],
    ["Reposts, 28 days", number(row.reposts_last_month)],
    ["Reactions, 28 days", number(row.engagement_last_month)],
    ["To a usual post", decimal(row.median_engagement_last_month)],
    ["Followers", number(row.followers_count)],
    ["Score", number(row.score)],
  ];
  const section = (title, ...parts) => [h("h3", {}, title), ...parts];
  return [
    h(
      "header",
      {},
      avatar(person),
      h(
        "div",
        {},
        h("h2", { id: "person-name", tabindex: -1 }, h("bdi", {}, nameOf(person))),
        h(
          "p",
          { class: "note" },
          link(profileUrl(person), [h("bdi", {}, person.handle ? `@${person.handle}` : person.did), " on Bluesky"]),
          person.is_bot ? " · bot" : "",
          packs.length ? [" · in ", h("bdi", {}, listed(packs))] : "",
        ),
      ),
    ),
    h(
      "dl",
      { class: "facts" },
      facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
    ),
    ...section("Their weeks", weeksHost),
    ...section(
      "Their top posts of the last 52 weeks",
      row.top.length
        ? h(
            "ol",
            { class: "posts compact" },
            row.top.map((number) => post(number)),
          )
        : h("p", { class: "empty" }, "No posts to show."),
    ),
    ...section(
      "Whom they talk with most",
      row.ties.length
        ? h(
            "ul",
            { class: "ties" },
            row.ties.map(([other, given, returned]) =>
              h(
                "li",
                {},
                nameLink(other),
                h("small", {}, `${number(given)} to them, ${number(returned)} from them, in 52 weeks`),
              ),
            ),
          )
        : h("p", { class: "empty" }, "No reply, quote, repost or mention to or from anybody here."),
    ),
    ...section(
      "Who follows them back",
      follows.length
        ? h(
            "p",
            { class: "follows" },
            follows.flatMap((other, at) => [at ? ", " : "", nameLink(other)]),
          )
        : h("p", { class: "empty" }, "Nobody here is known to follow them and to be followed by them."),
    ),
    ...(group === null
      ? []
      : section(
          "Their group",
          h(
            "p",
            {},
            `${count(content.groups[0][group].members.length, "person", "people")} who follow each other more than others, named after `,
            nameLink(content.groups[0][group].of),
            ".",
          ),
        )),
    ...(row.links?.length ? section("Their links", h("ul", { class: "own-links" }, row.links.map(ownLink))) : []),
  ];
}

function showWeeks(row) {
  if (!row.weeks) return noChart(weeksHost, "Nothing posted or reposted in half a year.");
  const [posts, reposts] = row.weeks;
  const start = (index) => new Date(observedAt - (posts.length - index) * 7 * DAY);
  const span = (index) => `${shortDate(start(index))} – ${shortDate(start(index + 1))}`;
  const tell = (index) => `${count(posts[index], "post")}, ${count(reposts[index], "repost")}`;
  chart(weeksHost, {
    name: "weeks",
    label: `Stacked bars: posts and reposts by week, half a year. ${count(sum(posts), "post")} and ${count(sum(reposts), "repost")} in all.`,
    draw: stackedBars({
      series: [
        { kind: "original", values: posts },
        { kind: "repost", values: reposts },
      ],
      before: posts.map(() => 0),
      labels: posts.map((_, index) =>
        index && monthName(start(index)) !== monthName(start(index - 1)) ? monthName(start(index)) : null,
      ),
      texts: posts.map((_, index) => `${span(index)}\n${tell(index)}`),
      format: number,
    }),
    table: () => ({
      head: ["Week from (UTC)", "posts", "reposts"],
      rows: posts.map((_, index) => [start(index).toISOString().slice(0, 10), posts[index], reposts[index]]),
    }),
  });
}

function beginProfiles() {
  addEventListener("hashchange", followAddress);
  one("#person-close").addEventListener("click", () => profile.close());
  profile.addEventListener("click", (event) => event.target === profile && profile.close());
  // Closed by hand, the address names nobody any more; the page stays where it is.
  profile.addEventListener("close", () => {
    if (anchors.has(location.hash.slice(1))) history.pushState(null, "", location.href.split("#")[0]);
  });
  followAddress();
}
