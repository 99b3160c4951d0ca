// How much is posted, and when: the first screen, and the charts of a pack and a period.

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
    name: "activity",
    label: `Stacked bars: posts and reposts per ${words.bar} ${words.last}. The busiest bar is ${span(busiest)} with ${number(sum(series.map((each) => each.values[busiest])))}.`,
    draw: stackedBars({ series, before, labels, texts, format: number }),
    table: () => ({
      head: ["From – to (UTC)", ...STACK.map((kind) => KIND_WORDS[kind]), "in all", `${words.before}`],
      rows: bins.map((index) => [
        span(index),
        ...series.map(({ values }) => values[index]),
        sum(series.map(({ values }) => values[index])),
        before[index],
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
    name: "hours",
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
      rows: byHour.map((all, at) => [clock(at), ...rows.map((row) => row[at]), all]),
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
    name: "growth",
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
      head: ["Age up to", "% of final, mean", "reactions, mean", "reactions, median", "posts"],
      rows: content.growth[state.pack].map((row) => [
        age(row.age_up_to_hours),
        row.mean_share_of_final === null ? null : 100 * row.mean_share_of_final,
        row.mean_engagement,
        row.median_engagement,
        row.post_count,
      ]),
    }),
  });
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
    name: "calendar",
    label: `Calendar of the last year: posts and reposts by day. The busiest was ${fullDate(busiest.when)} with ${number(busiest.value)}.`,
    draw: calendarChart({ days, monthNames, dayNames: DAYS }),
    table: () => ({
      head: ["Month", "posts", "reposts"],
      rows: [...months].map(([name, sums]) => [name, ...sums]),
    }),
  });
}
