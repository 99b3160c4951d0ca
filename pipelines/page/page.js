// What the page says, from the content that travels with it. Text of other people is only ever set as text.

const content = JSON.parse(document.getElementById("content").textContent);
const state = { pack: 0, period: "week", sort: "score", isDescending: true, search: "", isWhole: false };
const FIRST_MEMBERS = 15;

const DAY = 24 * 3600e3;
const observedAt = content.observed_at ? new Date(content.observed_at) : null;
const PERIOD_WORDS = {
  day: { choice: "24 hours", last: "in the last 24 hours", before: "24 hours before", bar: "hour" },
  week: { choice: "7 days", last: "in the last 7 days", before: "7 days before", bar: "24 hours" },
  month: { choice: "28 days", last: "in the last 28 days", before: "28 days before", bar: "24 hours" },
  year: { choice: "12 months", last: "in the last 52 weeks", before: "52 weeks before", bar: "week" },
};
const KIND_WORDS = { original: "posts", quote: "quote posts", reply: "replies", repost: "reposts" };
const MEDIA_WORDS = { image: "images", video: "video", link_card: "link card", none: "text only" };
const STACK = ["original", "quote", "reply", "repost"];
const DAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const LONG_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const LANGUAGE_NAMES = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

const one = (selector) => document.querySelector(selector);
const whole = new Intl.NumberFormat("en");
const number = (value) => (value === null || value === undefined ? "–" : whole.format(value));
const decimal = (value) =>
  value === null || value === undefined ? "–" : value.toLocaleString("en", { maximumFractionDigits: 1 });
const percent = (part, total) => (total ? `${Math.round((100 * part) / total)}%` : "–");
const count = (value, singular, plural = `${singular}s`) => `${number(value)} ${value === 1 ? singular : plural}`;
const sum = (values) => values.reduce((total, value) => total + value, 0);
const utc = (options) => {
  const format = new Intl.DateTimeFormat("en-GB", { timeZone: "UTC", ...options });
  return (when) => format.format(new Date(when));
};
const longDate = utc({
  weekday: "long",
  day: "numeric",
  month: "long",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
});
const dateTime = utc({ day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const shortDate = utc({ day: "numeric", month: "short" });
const weekdayDate = utc({ weekday: "short", day: "numeric" });
const fullDate = utc({ day: "numeric", month: "short", year: "numeric" });
const hourMinute = utc({ hour: "2-digit", minute: "2-digit" });
const monthName = utc({ month: "short" });

const signed = (value) => (value > 0 ? `+${number(value)}` : value < 0 ? `−${number(-value)}` : "±0");

/** When somebody was last active: the year only if it is another one. */
const lastActive = (when) =>
  new Date(when).getUTCFullYear() === observedAt.getUTCFullYear() ? shortDate(when) : fullDate(when);

/** A change in words, to be followed by what it is compared with, and a sign. */
function change(now, before) {
  if (before === null || before === undefined || now === null || now === undefined) return null;
  if (now === before) return { sign: "", text: "as many as" };
  if (!before) return { sign: "▲", text: "after none" };
  const ratio = now / before;
  if (ratio >= 3) return { sign: "▲", text: `${decimal(ratio)} times` };
  return {
    sign: now > before ? "▲" : "▼",
    text: `${Math.max(1, Math.round(Math.abs(ratio - 1) * 100))}% ${now > before ? "more" : "fewer"} than`,
  };
}

// People and posts

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

const profileUrl = (person) => `https://bsky.app/profile/${person.did}`;
const nameOf = (person) => person.name?.trim() || person.handle || person.did;

function link(url, text, attributes = {}) {
  // Addresses come from other people: nothing but the web is linked.
  if (!/^https?:\/\//i.test(url ?? "")) return h("span", attributes, text);
  return h("a", { href: url, rel: "noopener noreferrer nofollow", target: "_blank", ...attributes }, text);
}

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
      link(profileUrl(person), h("bdi", {}, nameOf(person))),
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

function post(index, rank) {
  const item = content.posts[index];
  const person = content.people[item.by];
  const url = `https://bsky.app/profile/${person.did}/post/${item.key}`;
  const counts = [
    ["like", "likes", item.like_count],
    ["repost", "reposts", item.repost_count],
    ["reply", "replies", item.reply_count],
    ["quote", "quotes", item.quote_count],
  ].filter(([, , value]) => value);
  const tags = [
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
      link(url, h("time", { datetime: item.posted_at }, dateTime(item.posted_at)), {
        "aria-label": `Open this post on Bluesky, ${dateTime(item.posted_at)} UTC`,
      }),
    ),
  );
}

// The first screen

function listed(words) {
  if (words.length < 2) return words.join("");
  return `${words.slice(0, -1).join(", ")} and ${words.at(-1)}`;
}

function showLede() {
  const pack = content.packs[state.pack];
  const view = content.views[state.pack].week;
  const difference = change(postsIn(view, "bins"), postsIn(view, "previous"));
  const posts = ofKinds(view, "bins", ["original", "quote"]);
  const replies = ofKinds(view, "bins", ["reply"]);
  const chosen = state.pack || content.packs.length === 2 ? [content.packs[state.pack || 1]] : content.packs.slice(1);
  const packs = chosen
    .slice(0, 4)
    .flatMap((each, index) => [
      index ? (index === Math.min(chosen.length, 4) - 1 ? " and " : ", ") : "",
      each.url
        ? link(each.url, h("bdi", {}, each.name || "an unnamed pack"))
        : h("bdi", {}, each.name || "an unnamed pack"),
    ]);
  const names = chosen.length
    ? [
        chosen.length === 1 ? " of the starter pack " : ` of ${number(chosen.length)} starter packs, `,
        ...packs,
        chosen.length > 4 ? " and others" : "",
      ]
    : [];
  one("#title").textContent =
    chosen.length && chosen.length <= 3
      ? listed(chosen.map((each) => each.name || "An unnamed pack"))
      : chosen.length
        ? `${chosen.length} starter packs`
        : "People on Bluesky";
  one("#lede").replaceChildren(
    h("b", {}, count(pack.member_count, "member")),
    ...names,
    `. In the last seven days ${number(view.summary.active ?? 0)} of the ${number(pack.published_member_count)} who can be shown were active and wrote `,
    h("b", {}, `${count(posts, "post")} and ${count(replies, "reply", "replies")}`),
    difference ? `, ${difference.text} in the week before` : "",
    view.summary.reactions ? ", and received " : "",
    view.summary.reactions ? h("b", {}, count(view.summary.reactions, "reaction")) : "",
    ".",
  );
}

const ofKinds = (view, bins, kinds) => sum(kinds.flatMap((kind) => view[bins][content.kinds.indexOf(kind)]));
const postsIn = (view, bins) => ofKinds(view, bins, ["original", "quote", "reply"]);

function showTiles() {
  const { day, week, month } = content.views[state.pack];
  const newcomers = (days) =>
    content.newcomers[state.pack].filter((row) => new Date(row.member_from) > observedAt - days * DAY).length;
  const byKind = (name, kinds) => ({
    name,
    week: [ofKinds(week, "bins", kinds), ofKinds(week, "previous", kinds)],
    day: [ofKinds(day, "bins", kinds), ofKinds(day, "previous", kinds)],
    days: month.bins[0].map((_, index) => sum(kinds.map((kind) => month.bins[content.kinds.indexOf(kind)][index]))),
  });
  const tiles = [
    {
      name: "People active",
      week: [week.summary.active ?? 0, week.summary.previous_active ?? 0],
      day: [day.summary.active ?? 0, day.summary.previous_active ?? 0],
      days: content.calendar[state.pack].active.slice(-28),
    },
    byKind("Posts", ["original", "quote"]),
    byKind("Replies", ["reply"]),
    byKind("Reposts", ["repost"]),
    {
      name: "Reactions received",
      week: [week.summary.reactions ?? 0, week.summary.previous_reactions],
      day: [day.summary.reactions ?? 0, day.summary.previous_reactions],
    },
    { name: "New members", week: [newcomers(7), null], day: [newcomers(1), null] },
  ];
  one("#tiles").replaceChildren(
    ...tiles.map(({ name, week: [now, before], day: [today, yesterday], days }) => {
      const difference = change(now, before);
      return h(
        "li",
        { class: "tile", "data-tile": name },
        h("h2", {}, name),
        h("div", { class: "number" }, number(now)),
        h(
          "div",
          { class: "delta", title: difference ? `${number(before)} in the week before` : null },
          difference ? [h("b", {}, difference.sign, " "), `${difference.text} the week before`] : "in the last 7 days",
        ),
        days ? spark(days) : null,
        h(
          "div",
          { class: "day" },
          h("b", {}, number(today)),
          " in the last 24 h",
          yesterday === null || yesterday === undefined ? "" : h("span", {}, `${number(yesterday)} the day before`),
        ),
      );
    }),
  );
}

/** The last 28 days as small bars, the last seven of them in colour. The tile says the same in words. */
function spark(days) {
  const largest = Math.max(1, ...days);
  return h(
    "svg",
    { viewBox: `0 0 ${days.length * 4} 24`, preserveAspectRatio: "none", "aria-hidden": "true" },
    days.map((value, index) => {
      const height = Math.max(0.6, (value / largest) * 24);
      return h("rect", {
        x: index * 4,
        y: 24 - height,
        width: 3,
        height,
        class: index < days.length - 7 ? "before" : null,
      });
    }),
  );
}

// Charts of a pack and a period

function showActivity(view, period) {
  const words = PERIOD_WORDS[period.name];
  const start = (index) => new Date(observedAt - (period.bin_count - index) * period.bin_hours * 3600e3);
  const middle = (index) => new Date(+start(index) + period.bin_hours * 1800e3);
  const span = (index) => {
    const [from, to] = [start(index), start(index + 1)];
    return period.bin_hours < 24
      ? `${weekdayDate(from)} ${monthName(from)}, ${hourMinute(from)}–${hourMinute(to)}`
      : `${dateTime(from)} – ${dateTime(to)}`;
  };
  const bins = Array.from({ length: period.bin_count }, (_, index) => index);
  const series = STACK.map((kind) => ({ kind, values: view.bins[content.kinds.indexOf(kind)] }));
  const before = bins.map((index) => sum(view.previous.map((values) => values[index])));
  const total = sum(series.flatMap(({ values }) => values));
  legend(series, words);
  const versus = sum(before)
    ? `against ${number(sum(before))} in the ${words.before}`
    : `and none known from the ${words.before}`;
  one('[data-note="activity"]').textContent =
    `${count(total, "post and repost", "posts and reposts")}, ${versus}. One bar is ${words.bar === "hour" ? "an hour" : words.bar === "week" ? "a week" : "24 hours"}.`;
  const host = one('[data-chart="activity"]');
  if (!total && !sum(before)) return noChart(host, `Nobody posted anything ${words.last}.`);
  const labels = bins.map((index) => {
    const when = middle(index);
    if (period.name === "day")
      return start(index).getUTCHours() % 3 === 0 ? `${hourMinute(start(index)).slice(0, 2)}h` : null;
    if (period.name === "week") return weekdayDate(when);
    if (period.name === "month") return when.getUTCDay() === 1 ? shortDate(when) : null;
    return index && monthName(when) !== monthName(middle(index - 1)) ? monthName(when) : null;
  });
  const texts = bins.map((index) =>
    [
      span(index),
      ...series.map(({ kind, values }) => `${number(values[index])} ${KIND_WORDS[kind]}`),
      `${number(before[index])} in all in the ${words.before}`,
    ].join("\n"),
  );
  const busiest = bins.reduce(
    (best, index) =>
      sum(series.map((each) => each.values[index])) > sum(series.map((each) => each.values[best])) ? index : best,
    0,
  );
  chart(host, {
    label: `Stacked bars: posts and reposts per ${words.bar} ${words.last}. The busiest bar is ${span(busiest)} with ${number(sum(series.map((each) => each.values[busiest])))}.`,
    draw: stackedBars({ series, before, labels, texts, format: number }),
    table: () => ({
      head: ["From – to (UTC)", ...STACK.map((kind) => KIND_WORDS[kind]), "in all", `${words.before}`],
      rows: bins.map((index) => [
        span(index),
        ...series.map(({ values }) => number(values[index])),
        number(sum(series.map(({ values }) => values[index]))),
        number(before[index]),
      ]),
    }),
  });
}

function legend(series, words) {
  const hatch = h(
    "svg",
    { viewBox: "0 0 14 14", "aria-hidden": "true" },
    h(
      "defs",
      {},
      h(
        "pattern",
        { id: "hatch-key", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
        h("rect", { width: 5, height: 5, class: "hatch-ground" }),
        h("line", { x1: 0, y1: 0, x2: 0, y2: 5, class: "hatch" }),
      ),
    ),
    h("rect", { x: 1, y: 1, width: 12, height: 12, class: "kind-repost", fill: "url(#hatch-key)" }),
  );
  const key = (kind) =>
    kind === "repost"
      ? hatch
      : h(
          "svg",
          { viewBox: "0 0 14 14", "aria-hidden": "true" },
          h("rect", { x: 1, y: 1, width: 12, height: 12, class: `kind-${kind}` }),
        );
  one('[data-legend="activity"]').replaceChildren(
    ...series.map(({ kind, values }) => h("span", {}, key(kind), h("b", {}, number(sum(values))), KIND_WORDS[kind])),
    h(
      "span",
      {},
      h("svg", { viewBox: "0 0 14 14", "aria-hidden": "true" }, h("path", { d: "M0 7h14", class: "before-line" })),
      `the ${words.before}`,
    ),
  );
}

function showHours(view, period) {
  const words = PERIOD_WORDS[period.name];
  const host = one('[data-chart="hours"]');
  const note = one('[data-note="hours"]');
  const rows = view.week;
  const total = sum(rows.flat());
  if (!total) {
    note.textContent = "";
    return noChart(host, `Nobody posted anything ${words.last}.`);
  }
  const byHour = rows[0].map((_, hour) => sum(rows.map((row) => row[hour])));
  const byDay = rows.map(sum);
  const hour = byHour.indexOf(Math.max(...byHour));
  const day = byDay.indexOf(Math.max(...byDay));
  const clock = (value) => `${String(value).padStart(2, "0")}:00`;
  const weekday =
    period.days < 7 ? ["Most between "] : ["Most on ", h("b", {}, `${LONG_DAYS[day]}s`), ", and between "];
  note.replaceChildren(
    "Posts and reposts by weekday and hour, UTC. ",
    ...weekday,
    h("b", {}, `${clock(hour)} and ${clock((hour + 1) % 24)}`),
    ".",
  );
  chart(host, {
    label: `Circles by weekday and hour: posts and reposts ${words.last}. Most on ${LONG_DAYS[day]}s and at ${clock(hour)} UTC.`,
    draw: punchCard({
      rows,
      rowNames: DAYS,
      texts: rows.map((row, index) =>
        row.map(
          (value, at) =>
            `${LONG_DAYS[index]} ${clock(at)}–${clock((at + 1) % 24)}\n${count(value, "post or repost", "posts and reposts")}`,
        ),
      ),
      format: number,
    }),
    table: () => ({
      head: ["Hour (UTC)", ...DAYS, "in all"],
      rows: byHour.map((all, at) => [clock(at), ...rows.map((row) => number(row[at])), number(all)]),
    }),
  });
}

function showGrowth() {
  const host = one('[data-chart="growth"]');
  const note = one('[data-note="growth"]');
  const points = content.growth[state.pack]
    .filter((row) => row.mean_share_of_final !== null)
    .map((row) => ({ hours: row.age_up_to_hours, share: Math.min(1, row.mean_share_of_final), row }));
  const life = content.half_life[state.pack].find((row) => row.kind === "all");
  // Where no post was followed from its first day on, the curve would compare posts with themselves.
  if (points.length < 2 || !life) {
    note.textContent = "How long a post keeps collecting likes, reposts, replies and quotes.";
    return noChart(host, "Posts have to be watched for six nights or more before this can be told.");
  }
  note.replaceChildren(
    "The share of a post's reactions that it has by a given age",
    "; half of them come within ",
    h("b", {}, `${decimal(life.median_half_life_hours)} hours`),
    ` for a typical post (${decimal(life.quarter_half_life_hours)} to ${decimal(life.three_quarters_half_life_hours)} for the middle half of ${count(life.post_count, "post")}).`,
  );
  const age = (hours) => (hours < 24 ? `${hours} h` : count(hours / 24, "day"));
  chart(host, {
    label: `Curve: mean share of a post's final reactions by its age. Half after ${decimal(life.median_half_life_hours)} hours.`,
    draw: shareCurve({
      points,
      half: {
        at: life.median_half_life_hours,
        from: life.quarter_half_life_hours,
        to: life.three_quarters_half_life_hours,
        text: `half after ${decimal(life.median_half_life_hours)} h`,
      },
      texts: points.map(
        ({ hours, share, row }) =>
          `up to ${age(hours)} old\n${Math.round(share * 100)}% of the reactions\n${decimal(row.mean_engagement)} on average, ${count(row.post_count, "post")}`,
      ),
    }),
    table: () => ({
      head: ["Age up to", "share of final, mean", "reactions, mean", "reactions, median", "posts"],
      rows: content.growth[state.pack].map((row) => [
        age(row.age_up_to_hours),
        row.mean_share_of_final === null ? "–" : `${Math.round(row.mean_share_of_final * 100)}%`,
        decimal(row.mean_engagement),
        decimal(row.median_engagement),
        number(row.post_count),
      ]),
    }),
  });
}

/** Fill a list; what goes beyond `most` is a button away. */
function fill(name, items, empty, most = items.length) {
  const list = one(`[data-list="${name}"]`);
  list.replaceChildren(...(items.length ? items.slice(0, most) : [h("li", { class: "empty" }, empty)]));
  if (list.nextElementSibling?.matches(".more")) list.nextElementSibling.remove();
  if (items.length <= most) return;
  const more = () => {
    list.nextElementSibling.remove();
    list.append(...items.slice(most));
    items[most].querySelector("a")?.focus();
  };
  list.after(h("button", { type: "button", class: "more", click: more }, `Show ${number(items.length - most)} more`));
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
}

function showNetwork(view, period) {
  const words = PERIOD_WORDS[period.name];
  const host = one('[data-chart="network"]');
  const note = one('[data-note="network"]');
  const weight = (tie) => tie.given + tie.returned;
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
      const arrow = tie.given && tie.returned ? "and" : "to";
      return h(
        "li",
        {},
        h("b", {}, h("bdi", {}, nameOf(content.people[first]))),
        ` ${arrow} `,
        h("b", {}, h("bdi", {}, nameOf(content.people[second]))),
        h(
          "small",
          {},
          `${tell(tie)}${tie.given && tie.returned ? `; ${number(Math.max(tie.given, tie.returned))} one way, ${number(Math.min(tie.given, tie.returned))} the other` : ""}`,
        ),
      );
    }),
    `Nobody here replied to, quoted, reposted or mentioned another ${words.last}.`,
  );
  if (!view.ties.length) {
    note.textContent = "";
    return noChart(host, "No ties to draw.");
  }
  const weights = new Map();
  for (const tie of view.ties)
    for (const person of [tie.one, tie.other]) weights.set(person, (weights.get(person) ?? 0) + weight(tie));
  const people = [...weights.keys()].sort((a, b) => weights.get(b) - weights.get(a) || a - b);
  const place = new Map(people.map((person, index) => [person, index]));
  const nodes = people.map((person) => {
    const ties = view.ties
      .filter((tie) => tie.one === person || tie.other === person)
      .sort((a, b) => weight(b) - weight(a));
    const others = ties
      .slice(0, 4)
      .map((tie) => `${nameOf(content.people[tie.one === person ? tie.other : tie.one])} (${number(weight(tie))})`);
    return {
      name: nameOf(content.people[person]),
      weight: weights.get(person),
      text: `${nameOf(content.people[person])}\n${others.join(", ")}${ties.length > 4 ? ` and ${ties.length - 4} more` : ""}`,
    };
  });
  note.textContent = `Replies, quotes, reposts and mentions between people here: the ${view.ties.length === 1 ? "only tie" : `${number(view.ties.length)} strongest ties`}. A thicker line is more of them; choose somebody to see theirs.`;
  chart(host, {
    label: `Network: ${number(people.length)} people and ${number(view.ties.length)} ties between them ${words.last}. ${nodes[0].name} has the most.`,
    draw: network({
      nodes,
      edges: view.ties.map((tie) => ({ one: place.get(tie.one), other: place.get(tie.other), weight: weight(tie) })),
    }),
    table: () => ({
      head: ["Between", "replies", "quotes", "reposts", "mentions", "in all"],
      rows: view.ties.map((tie) => [
        `${nameOf(content.people[tie.one])} – ${nameOf(content.people[tie.other])}`,
        ...[tie.replies, tie.quotes, tie.reposts, tie.mentions, weight(tie)].map(number),
      ]),
    }),
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
}

function showCalendar() {
  const host = one('[data-chart="calendar"]');
  const { first_day: first, posts, reposts } = content.calendar[state.pack];
  const note = one('[data-note="calendar"]');
  if (!first) {
    note.textContent = "";
    return noChart(host, "Nobody posted anything in the last year.");
  }
  const start = new Date(`${first}T00:00:00Z`);
  const offset = (start.getUTCDay() + 6) % 7;
  const total = (index) => posts[index] + reposts[index];
  const days = posts.map((_, index) => {
    const when = new Date(+start + index * DAY);
    return {
      week: Math.floor((index + offset) / 7),
      row: (index + offset) % 7,
      value: total(index),
      when,
      text: `${weekdayDate(when)} ${monthName(when)} ${when.getUTCFullYear()}\n${count(posts[index], "post")}, ${count(reposts[index], "repost")}`,
    };
  });
  const busiest = days.reduce((best, day) => (day.value > best.value ? day : best));
  note.replaceChildren(
    "Posts and reposts by calendar day; the larger the square, the busier. The busiest day was ",
    h("b", {}, fullDate(busiest.when)),
    `, with ${number(busiest.value)}.`,
  );
  const monthNames = {};
  for (const day of days) if (day.when.getUTCDate() <= 7 && day.row === 0) monthNames[day.week] = monthName(day.when);
  const months = new Map();
  days.forEach((day, index) => {
    const name = utc({ month: "long", year: "numeric" })(day.when);
    const sums = months.get(name) ?? [0, 0];
    months.set(name, [sums[0] + posts[index], sums[1] + reposts[index]]);
  });
  chart(host, {
    label: `Calendar of the last year: posts and reposts by day. The busiest was ${fullDate(busiest.when)} with ${number(busiest.value)}.`,
    draw: calendarChart({ days, monthNames, dayNames: DAYS }),
    table: () => ({
      head: ["Month", "posts", "reposts"],
      rows: [...months].map(([name, sums]) => [name, ...sums.map(number)]),
    }),
  });
}

// People

/**
 * The columns of the table of people, in their order. `key` is the name in `content.members`; `show` makes the cell;
 * `value` gives what to sort by where that is another thing; small screens leave out what `isForWideScreens`.
 */
const COLUMNS = [
  {
    key: "name",
    name: "Name",
    value: (row) => nameOf(content.people[row.who]).toLocaleLowerCase("en"),
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
    show: (row) => (row.links?.length ? h("ul", { class: "own-links" }, row.links.map(ownLink)) : "–"),
    isForWideScreens: true,
  },
];

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
}

// Data health: the whole lake, whatever the filters say

function showHealth() {
  // Not rounded up: only what is whole is called so.
  const wholeTenths = (share) => Math.floor(10 * share) / 10;
  const { health, nights } = content;
  const isWell = (night) => night.is_complete && !night.failed_count;
  const asked = health.pulled_member_count;
  one('[data-note="health"]').replaceChildren(
    "The last night ended ",
    h("b", {}, `${longDate(health.newest_observed_at)} UTC`),
    `. Of ${count(asked, "person", "people")} asked for in all, ${number(health.ok_member_count)} could be read`,
    health.unavailable_member_count
      ? `, ${number(health.unavailable_member_count)} are deactivated, suspended or gone`
      : "",
    health.failed_member_count
      ? h("b", { class: "down" }, `, and ${number(health.failed_member_count)} failed and will be asked again`)
      : "; none failed",
    ".",
  );
  const facts = [
    ["Nights loaded", number(health.complete_load_count)],
    ["Loads cut short", number(health.incomplete_load_count)],
    ["Feeds proved to be complete", `${number(health.wholly_covered_member_count)} of ${number(asked)}`],
    [
      "Repositories audited",
      `${number(health.audited_member_count)} of ${number(asked)}, ${number(health.verified_member_count)} with a proof`,
    ],
    [
      "Of their records in the lake",
      health.audit_percent === null
        ? "not audited yet"
        : `${wholeTenths(health.audit_percent)}% (least: ${wholeTenths(health.least_audit_percent)}%)`,
    ],
    ["Gaps in what was read", number(health.gap_count)],
    ["Posts known", number(health.post_count)],
    ["Times they were looked at", number(health.observation_count)],
    ["Posts since deleted", number(health.deleted_post_count)],
    [
      "Left out, being in doubt",
      `${count(health.in_doubt_post_count, "post")}, ${count(health.in_doubt_repost_count, "repost")}`,
    ],
    ["Posts with odd values", number(health.posts_with_issues_count)],
    ["Asked not to be shown", number(health.hidden_member_count + health.left_out_member_count)],
  ];
  one("#facts").replaceChildren(...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
  const inOrder = [...nights].reverse();
  const tell = (night) =>
    `${dateTime(night.last_observed_at)}\n${number(night.ok_count)} read, ${number(night.unavailable_count)} unavailable, ${number(night.failed_count)} failed\n${count(night.author_feed_rows, "row")}${night.is_complete ? "" : "\nload not complete"}`;
  chart(one('[data-chart="nights"]'), {
    label: `The last ${count(nights.length, "night")}: ${number(nights.filter(isWell).length)} went well.`,
    draw: nightDots({ nights: inOrder.map((night) => ({ isWell: isWell(night), text: tell(night) })) }),
    table: () => ({
      head: ["Night (UTC)", "read", "unavailable", "failed", "rows", "complete"],
      rows: nights.map((night) => [
        dateTime(night.last_observed_at),
        ...[night.ok_count, night.unavailable_count, night.failed_count, night.author_feed_rows].map(number),
        night.is_complete ? "yes" : "no",
      ]),
    }),
  });
  const changes = content.schema_changes;
  if (changes.length) {
    one("#schema-changes").replaceChildren(
      h("h3", {}, "What Bluesky sends has changed"),
      h(
        "div",
        { class: "scroll" },
        numbers({
          head: ["Column", "change", "type", "seen"],
          rows: changes.map((row) => [
            `${row.table_name}.${row.column_name}`,
            row.change.replaceAll("_", " "),
            row.previous_data_type ? `${row.previous_data_type} to ${row.data_type}` : row.data_type,
            shortDate(row.changed_at),
          ]),
        }),
      ),
    );
  }
}

// Filters

function choices(host, name, options) {
  const set = (value) => {
    state[name] = value;
    show();
  };
  if (options.length > 6) {
    host.append(
      h(
        "select",
        { name, "aria-label": name, change: (event) => set(options[event.target.selectedIndex].value) },
        options.map((option) => h("option", { selected: option.value === state[name] }, option.text)),
      ),
    );
    return;
  }
  for (const option of options) {
    host.append(
      h(
        "label",
        { class: "choice" },
        h("input", {
          type: "radio",
          name,
          value: option.value,
          checked: option.value === state[name],
          change: () => set(option.value),
        }),
        h("span", {}, h("bdi", {}, option.text)),
      ),
    );
  }
}

function show() {
  const period = content.periods.find((each) => each.name === state.period);
  const view = content.views[state.pack][state.period];
  const words = PERIOD_WORDS[state.period];
  for (const element of document.querySelectorAll(".of-period")) element.textContent = words.last;
  for (const element of document.querySelectorAll(".before-period")) element.textContent = words.before;
  showLede();
  showTiles();
  showActivity(view, period);
  showHours(view, period);
  showGrowth();
  fill(
    "top",
    view.top.map((index, place) => post(index, place + 1)),
    `Nobody posted anything ${words.last}.`,
    6,
  );
  fill(
    "newest",
    content.newest[state.pack].map((index) => post(index)),
    "No posts yet.",
    4,
  );
  showHashtags(view, period);
  showDomains(view, period);
  showNetwork(view, period);
  showMembers();
  showComersAndGoers();
  showMediaKinds(view, period);
  showLanguages(view, period);
  showCalendar();
}

function begin() {
  if (!observedAt) {
    one("#lede").textContent =
      "Nothing has been pulled yet. After the first night this page shows who the people are, what they write and what comes back.";
    for (const element of document.querySelectorAll("main, #filters, #tiles, .skip")) element.remove();
    return;
  }
  for (const id of ["as-of", "as-of-again"])
    one(`#${id}`).textContent = `, ${id === "as-of" ? "as of " : ""}${longDate(observedAt)} UTC`;
  const packs = content.packs.map((pack, index) => ({
    value: index,
    text: index ? pack.name || "an unnamed pack" : "All",
  }));
  if (packs.length > 2) choices(one("#pack-filter"), "pack", packs);
  else one("#pack-filter").remove();
  choices(
    one("#period-filter"),
    "period",
    content.periods.map(({ name }) => ({ value: name, text: PERIOD_WORDS[name].choice })),
  );
  one("#filters").addEventListener("submit", (event) => event.preventDefault());
  one("#search").addEventListener("input", (event) => {
    state.search = event.target.value;
    showMembers();
  });
  one("#people").addEventListener("click", (event) => {
    const key = event.target.closest("button")?.dataset.sort;
    if (!key) return;
    state.isDescending = key === state.sort ? !state.isDescending : key !== "name";
    state.sort = key;
    showMembers();
    one(`[data-sort="${key}"]`).focus();
  });
  one("#all-people").addEventListener("click", () => {
    state.isWhole = true;
    showMembers();
    one("#people tbody a")?.focus();
  });
  show();
  showHealth();
}

begin();
