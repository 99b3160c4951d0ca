// Posts, and what they name and carry.

const postUrl = (item) => `https://bsky.app/profile/${content.people[item.by].did}/post/${item.key}`;

/** A post as a card, with its place in a list or what else is to be said of it. */
function post(index, { rank, extra } = {}) {
  const item = content.posts[index];
  const counts = [
    ["like", "likes", item.like_count],
    ["repost", "reposts", item.repost_count],
    ["reply", "replies", item.reply_count],
    ["quote", "quotes", item.quote_count],
  ].filter(([, , value]) => value);
  const tags = [
    extra,
    item.kind === "reply" ? "reply" : item.kind === "quote" ? "quote post" : null,
    item.media_count ? count(item.media_count, "picture or video", "pictures or videos") : null,
    ...(item.labels ?? []).map((label) => `label: ${label}`),
  ].filter(Boolean);
  return h(
    "li",
    { class: "post" },
    h(
      "div",
      { class: "head" },
      who(item.by),
      rank ? h("span", { class: "rank", "aria-label": `Place ${rank}` }, String(rank)) : null,
    ),
    item.text?.trim()
      ? h("p", { class: "text", dir: "auto" }, item.text)
      : h("p", { class: "text wordless" }, "No words"),
    tags.length
      ? h(
          "div",
          {},
          tags.map((tag) => [h("span", { class: "tag" }, tag), " "]),
        )
      : null,
    h(
      "div",
      { class: "foot" },
      counts.length
        ? counts.map(([singular, plural, value]) =>
            h("span", {}, h("b", {}, number(value)), ` ${value === 1 ? singular : plural}`),
          )
        : h("span", {}, "no reactions yet"),
      item.growth
        ? h(
            "span",
            { class: "up", title: "Reactions added by the last night" },
            `+${number(item.growth)}`.replace("+-", "−"),
          )
        : null,
      link(postUrl(item), h("time", { datetime: item.posted_at }, postedAt(item.posted_at)), {
        "aria-label": `Open this post on Bluesky, ${postedAt(item.posted_at)} UTC`,
      }),
    ),
  );
}

/** Let posts be saved; `first` is the column that they are in order of. */
function offerPosts(name, indices, first) {
  const of = (key) => (index) => content.posts[index][key];
  offer(name, indices, {
    ...first,
    handle: (index) => handleOf(content.posts[index].by),
    posted_at: of("posted_at"),
    text: of("text"),
    likes: of("like_count"),
    reposts: of("repost_count"),
    replies: of("reply_count"),
    quotes: of("quote_count"),
    address: (index) => postUrl(content.posts[index]),
  });
}

function showPosts(view, period) {
  const newest = content.newest[state.pack];
  const liked = content.liked[state.pack];
  const place = (_, at) => at + 1;
  fill(
    "top",
    view.top.map((index, at) => post(index, { rank: at + 1 })),
    `Nobody posted anything ${PERIOD_WORDS[period.name].last}.`,
    6,
  );
  offerPosts("top-posts", view.top, { place });
  fill(
    "newest",
    newest.map((index) => post(index)),
    "No posts yet.",
    4,
  );
  offerPosts("newest-posts", newest, { place });
  fill(
    "liked",
    liked.map((row) => post(row.post, { extra: `liked by ${number(row.likers)} here` })),
    "No post of others that three or more people here liked is known.",
    4,
  );
  offerPosts(
    "liked-here",
    liked.map((row) => row.post),
    { liked_by: (_, at) => liked[at].likers },
  );
}

function showHashtags(view, period) {
  const words = PERIOD_WORDS[period.name];
  const moves = view.hashtags.map((row) => ({ ...row, change: row.posts - row.previous_posts }));
  const largest = Math.max(1, ...moves.flatMap((row) => [row.posts, row.previous_posts]));
  const x = (value) => 6 + (value / largest) * 88;
  const move = (row) =>
    h(
      "li",
      {},
      h("bdi", {}, `#${row.name}`),
      dumbbell(x(row.previous_posts), x(row.posts)),
      h(
        "span",
        { class: "figure" },
        h("b", {}, hasBefore ? `${row.change > 0 ? "▲" : "▼"} ` : "", number(Math.abs(row.change))),
        hasBefore ? h("small", {}, ` ${number(row.previous_posts)} → ${number(row.posts)}`) : null,
      ),
    );
  const hasBefore = postsIn(view, "previous") > 0;
  one("#rising").textContent = hasBefore ? "Rising" : "Named most";
  const rising = moves
    .filter((row) => row.change > 0)
    .sort((a, b) => b.change - a.change || b.posts - a.posts)
    .slice(0, 8);
  const falling = moves
    .filter((row) => row.change < 0)
    .sort((a, b) => a.change - b.change || b.previous_posts - a.previous_posts)
    .slice(0, 8);
  offer("hashtags", view.hashtags, {
    hashtag: "name",
    posts: "posts",
    posts_before: "previous_posts",
    people: "authors",
  });
  fill("rising", rising.map(move), `No tag rose ${words.last}.`);
  fill(
    "falling",
    falling.map(move),
    hasBefore ? `No tag fell ${words.last}.` : `No posts are known from the ${words.before}.`,
  );
}

function dumbbell(from, to) {
  const host = h("svg", { "aria-hidden": "true", preserveAspectRatio: "none" });
  host.append(
    h("line", { x1: `${from}%`, x2: `${to}%`, y1: "50%", y2: "50%", class: "grid zero" }),
    h("circle", { cx: `${from}%`, cy: "50%", r: 3.5, class: "then" }),
    h("circle", { cx: `${to}%`, cy: "50%", r: 4.5, class: "now" }),
  );
  return host;
}

function bar(value, largest) {
  const inner = h("i", {});
  inner.style.width = `${(100 * value) / Math.max(1, largest)}%`;
  return h("span", { class: "bar", "aria-hidden": "true" }, inner);
}

function showDomains(view, period) {
  const words = PERIOD_WORDS[period.name];
  const largest = Math.max(0, ...view.domains.map((row) => row.posts));
  const hasBefore = postsIn(view, "previous") > 0;
  const versus = (row) =>
    (!hasBefore
      ? ""
      : row.posts === row.previous_posts
        ? "as before"
        : row.previous_posts
          ? signed(row.posts - row.previous_posts)
          : "new") + (hasBefore ? " · " : "");
  fill(
    "domains",
    view.domains.map((row) =>
      h(
        "li",
        {},
        h(
          "span",
          {},
          link(`https://${row.name}`, h("bdi", {}, row.name)),
          row.type === "other" ? "" : [" ", h("span", { class: "tag" }, row.type.replaceAll("_", " "))],
        ),
        bar(row.posts, largest),
        h(
          "span",
          { class: "figure" },
          h("b", {}, number(row.posts)),
          h("small", {}, ` ${versus(row)}${count(row.authors, "person", "people")}`),
        ),
      ),
    ),
    `No links ${words.last}.`,
  );
  offer("domains", view.domains, {
    domain: "name",
    type: "type",
    posts: "posts",
    posts_before: "previous_posts",
    people: "authors",
  });
  fill(
    "links",
    view.links.map((row) =>
      h(
        "li",
        {},
        link(row.uri, h("bdi", {}, row.title?.trim() || shortAddress(row.uri))),
        h(
          "small",
          {},
          h("bdi", {}, row.domain),
          ` · ${count(row.authors, "person", "people")} · ${count(row.posts, "post")} · ${count(row.reactions, "reaction")}`,
        ),
      ),
    ),
    `No links ${words.last}.`,
  );
  offer("links", view.links, {
    address: "uri",
    title: "title",
    domain: "domain",
    people: "authors",
    posts: "posts",
    reactions: "reactions",
  });
}

function showMediaKinds(view, period) {
  const kinds = view.media_kinds;
  const total = sum(kinds.map((row) => row.posts));
  const largest = Math.max(0, ...kinds.map((row) => row.median));
  const none = `No posts ${PERIOD_WORDS[period.name].last}.`;
  const item = (row, value, most, figure, more) =>
    h(
      "li",
      {},
      MEDIA_WORDS[row.kind],
      bar(value, most),
      h("span", { class: "figure" }, h("b", {}, figure), h("small", {}, ` ${more}`)),
    );
  fill(
    "carried",
    kinds.map((row) => item(row, row.posts, total, number(row.posts), percent(row.posts, total))),
    none,
  );
  fill(
    "received",
    kinds.map((row) =>
      item(
        row,
        row.median,
        largest,
        decimal(row.median),
        // Of fewer than four posts there is no middle half.
        row.posts < 4 ? `of ${count(row.posts, "post")}` : `${decimal(row.quarter)} to ${decimal(row.three_quarters)}`,
      ),
    ),
    none,
  );
  offer("what-posts-carry", kinds, {
    carries: (row) => MEDIA_WORDS[row.kind],
    posts: "posts",
    reactions_quarter: "quarter",
    reactions_median: "median",
    reactions_three_quarters: "three_quarters",
  });
}

function showLanguages(view, period) {
  const words = PERIOD_WORDS[period.name];
  const total = postsIn(view, "bins");
  fill(
    "languages",
    view.languages.map((row) =>
      h(
        "li",
        {},
        row.language === "unknown" ? "not said" : LANGUAGE_NAMES.of(row.language),
        bar(row.posts, total),
        h("span", { class: "figure" }, h("b", {}, number(row.posts)), h("small", {}, ` ${percent(row.posts, total)}`)),
      ),
    ),
    `No posts ${words.last}.`,
  );
  offer("languages", view.languages, { language: "language", posts: "posts" });
  const media = view.media.filter((row) => row.count);
  fill(
    "media",
    media.map((row) =>
      h(
        "li",
        {},
        `${row.kind}s`,
        bar(row.with_alt_text, row.count),
        h(
          "span",
          { class: "figure" },
          h("b", {}, percent(row.with_alt_text, row.count)),
          h(
            "small",
            {},
            ` ${number(row.with_alt_text)} of ${number(row.count)}${row.previous_count ? ` · before ${percent(row.previous_with_alt_text, row.previous_count)}` : ""}`,
          ),
        ),
      ),
    ),
    `No images or videos ${words.last}.`,
  );
  offer("described", media, {
    kind: "kind",
    count: "count",
    described: "with_alt_text",
    count_before: "previous_count",
    described_before: "previous_with_alt_text",
  });
}
