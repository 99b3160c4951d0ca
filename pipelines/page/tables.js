// Lists and tables: what is in them, as a file, and what they are made of.

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

/** A table of numbers and words, as they are read: a file has them as they are. */
function numbers({ head, rows }) {
  const cell = (value) => (typeof value === "string" ? value : decimal(value));
  return h(
    "table",
    {},
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        head.map((name) => h("th", { scope: "col" }, name)),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map((row) =>
        h(
          "tr",
          {},
          row.map((value, index) => h(index ? "td" : "th", { scope: index ? null : "row" }, cell(value))),
        ),
      ),
    ),
  );
}

/** What spreadsheets take for the beginning of a formula: as in the files of `export.py`. */
const FORMULA = /^[\s\p{Z}\u200b\ufeff]*[=+\-@＝＋－＠]|^[\t\r\n]/u;

/** Write a table as CSV: text is quoted, and none of it is run as a formula. Excel reads UTF-8 by the mark it begins with. */
function csv({ head, rows }) {
  const cell = (value) => {
    if (value === null || value === undefined) return "";
    if (typeof value === "number") return String(Number(value.toPrecision(12)));
    if (typeof value !== "string") return String(value);
    return `"${FORMULA.test(value) ? "'" : ""}${value.replaceAll('"', '""')}"`;
  };
  return `\ufeff${[head, ...rows].map((row) => `${row.map(cell).join(",")}\r\n`).join("")}`;
}

/** Hand a table over as a file. It is made here: nobody is asked for it. */
function save(name, table) {
  const url = URL.createObjectURL(new Blob([csv(table)], { type: "text/csv;charset=utf-8" }));
  h("a", { href: url, download: `${name}_${content.observed_at.slice(0, 10)}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60e3);
}

const saveButton = (name, table) =>
  h(
    "button",
    {
      type: "button",
      class: "more",
      "aria-label": `Save as CSV: ${name.replaceAll("-", " ")}`,
      click: () => save(name, table()),
    },
    "Save as CSV",
  );

/**
 * Let the rows of a list or table be saved as they are now. `columns` gives, under the name that a column has in the
 * file, its key in a row or a function of the row.
 */
function offer(name, rows, columns) {
  const table = () => ({
    head: Object.keys(columns),
    rows: rows.map((row, index) =>
      Object.values(columns).map((value) => (typeof value === "function" ? value(row, index) : row[value])),
    ),
  });
  one(`[data-save="${name}"]`).replaceChildren(...(rows.length ? [saveButton(name, table)] : []));
}

/** Say below each part of the page of which models it is made, in dbt's own words, with their place in dbt's docs. */
function showSources() {
  // The nightly publishes dbt's docs beside the page; a file on a disk has none beside it.
  const isPublished = location.protocol.startsWith("http");
  const words = (text) => text.split("`").map((part, index) => (index % 2 ? h("code", {}, part) : part));
  for (const host of document.querySelectorAll("[data-models]")) {
    const models = host.dataset.models.split(" ");
    host.append(
      h(
        "details",
        {},
        h("summary", {}, "How this is computed", h("span", { class: "unseen" }, `: ${models.join(", ")}`)),
        h(
          "dl",
          { class: "models" },
          models.map((model) => [
            h(
              "dt",
              {},
              isPublished
                ? h("a", { href: `dbt/index.html#!/model/model.bluesky_lake.${model}` }, model)
                : h("code", {}, `dbt/models/marts/reports/${model}.sql`),
            ),
            h("dd", {}, words(content.models[model] ?? "")),
          ]),
        ),
      ),
    );
  }
}
