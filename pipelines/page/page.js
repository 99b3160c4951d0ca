// What the page shows when, and what can be trusted of it.

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
    health.unasked_member_count
      ? ` ${count(health.unasked_member_count, "person was", "people were")} not asked that night${health.unasked_since ? `, the first of them last on ${longDate(health.unasked_since)}` : ""}: what they reposted or deleted since may be missing.`
      : "",
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
    name: "nights",
    label: `The last ${count(nights.length, "night")}: ${number(nights.filter(isWell).length)} went well.`,
    draw: nightDots({ nights: inOrder.map((night) => ({ isWell: isWell(night), text: tell(night) })) }),
    table: () => ({
      head: ["Night (UTC)", "read", "unavailable", "failed", "rows", "complete"],
      rows: nights.map((night) => [
        night.last_observed_at,
        night.ok_count,
        night.unavailable_count,
        night.failed_count,
        night.author_feed_rows,
        night.is_complete ? "yes" : "no",
      ]),
    }),
  });
  const changes = {
    head: ["Column", "change", "type", "seen"],
    rows: content.schema_changes.map((row) => [
      `${row.table_name}.${row.column_name}`,
      row.change.replaceAll("_", " "),
      row.previous_data_type ? `${row.previous_data_type} to ${row.data_type}` : row.data_type,
      shortDate(row.changed_at),
    ]),
  };
  if (changes.rows.length) {
    one("#schema-changes").replaceChildren(
      h("h3", {}, "What Bluesky sends has changed"),
      h("div", { class: "scroll" }, numbers(changes)),
      saveButton("schema-changes", () => changes),
    );
  }
}

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
  showPosts(view, period);
  showHashtags(view, period);
  showDomains(view, period);
  showNetwork(view, period);
  showFollows();
  showAudience(view, period);
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
  choices(
    one("#tie-filter"),
    "tie",
    Object.entries(TIE_WORDS).map(([value, text]) => ({ value, text })),
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
  showSources();
  beginProfiles();
}

begin();
