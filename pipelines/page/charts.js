// Charts as plain SVG, drawn at the width they have. Each is one stop of the keyboard: arrow keys walk over its marks,
// and each has its numbers in a table below it.

const SVG = "http://www.w3.org/2000/svg";
const SVG_TAGS = new Set(["svg", "g", "path", "rect", "circle", "line", "text", "defs", "pattern"]);

/** Make an element. Attributes that are null or false are left out; text is always text, never markup. */
function h(tag, attributes, ...children) {
  const element = SVG_TAGS.has(tag) ? document.createElementNS(SVG, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const charts = new Map();

/**
 * Put a chart into a host, in place of the one before, and draw it again whenever the host's width changes.
 *
 * `draw(width)` gives `{height, shapes, marks}`; a mark is `{x, y, text, cursor, open}`: where its tooltip points, what it
 * says, and optionally a shape that shows where the reader is, and a function that shows more of it: on Enter, or a click
 * on what the tooltip is of. `label` says in one sentence what is to be seen, `table` gives `{head, rows}`, and `name` is
 * that of its file.
 */
function chart(host, { name, label, draw, table }) {
  const tip = h("div", { class: "tip", role: "status" });
  const surface = h("div", {
    class: "surface",
    tabindex: 0,
    role: "group",
    "aria-roledescription": "chart",
    "aria-label": `${label} Arrow keys read its values.`,
  });
  const holder = h("div", { class: "chart" }, surface, tip);
  const details = h("details", {}, h("summary", {}, "The numbers"));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1)
      details.append(h("div", { class: "scroll" }, numbers(table())), saveButton(name, table));
  });
  let drawn = { marks: [] };
  let at = -1;
  let cursor = null;

  const show = (index) => {
    at = index;
    cursor?.remove();
    cursor = null;
    const mark = drawn.marks[index];
    drawn.light?.(mark ? index : -1);
    tip.classList.toggle("is-shown", Boolean(mark));
    if (!mark) return;
    tip.textContent = mark.text;
    if (mark.cursor) {
      cursor = h(...mark.cursor);
      cursor.classList.add("cursor");
      drawn.svg.append(cursor);
    }
    const half = tip.offsetWidth / 2;
    tip.style.left = `${Math.min(Math.max(mark.x, half), Math.max(surface.clientWidth - half, half))}px`;
    tip.style.top = `${mark.y}px`;
  };
  const redraw = () => {
    const width = Math.max(240, Math.round(surface.clientWidth));
    drawn = draw(width);
    drawn.svg = h(
      "svg",
      { viewBox: `0 0 ${width} ${drawn.height}`, role: "img", "aria-label": label, "data-marks": drawn.marks.length },
      drawn.shapes,
    );
    surface.replaceChildren(drawn.svg);
    drawn.width = width;
    show(-1);
  };
  const nearest = (event) => {
    const box = drawn.svg.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let best = -1;
    let distance = Infinity;
    drawn.marks.forEach((mark, index) => {
      const apart = Math.abs(mark.x - x) + (drawn.isFlat ? 0 : Math.abs(mark.y - y));
      if (apart < distance) [best, distance] = [index, apart];
    });
    return best;
  };
  surface.addEventListener("pointermove", (event) => event.pointerType === "mouse" && show(nearest(event)));
  surface.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && show(-1));
  surface.addEventListener("click", (event) => {
    const index = nearest(event);
    if (index === at) drawn.marks[index]?.open?.();
    else show(index);
  });
  surface.addEventListener("blur", () => show(-1));
  surface.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const count = drawn.marks.length;
    if (event.key === "Escape") show(-1);
    else if (step && count) show(at < 0 ? (step > 0 ? 0 : count - 1) : (at + step + count) % count);
    else if (event.key === "Enter" && drawn.marks[at]?.open) drawn.marks[at].open();
    else if (event.key === "Home" && count) show(0);
    else if (event.key === "End" && count) show(count - 1);
    else return;
    event.preventDefault();
  });

  charts.get(host)?.disconnect();
  host.replaceChildren(holder, details);
  redraw();
  const observer = new ResizeObserver(
    () => Math.round(surface.clientWidth) !== drawn.width && surface.clientWidth && redraw(),
  );
  observer.observe(surface);
  charts.set(host, observer);
}

/** Take a chart's place with a sentence that says why there is none. */
function noChart(host, why) {
  charts.get(host)?.disconnect();
  charts.delete(host);
  host.replaceChildren(h("p", { class: "empty" }, why));
}

/** Round steps that reach the largest value: 0, 5, 10, ... */
function ticks(largest, count = 4) {
  const rough = Math.max(largest, 1) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].find((factor) => factor * power >= rough) * power);
  return Array.from({ length: Math.ceil(Math.max(largest, 1) / step) + 1 }, (_, index) => index * step);
}

let patterns = 0;

/** Bars of stacked kinds, and a dashed line for the time before. `series` is from the bottom up. */
function stackedBars({ series, before, labels, texts, format }) {
  return (width) => {
    const [left, right, top, bottom] = [34, 6, 10, 24];
    const height = Math.round(Math.min(320, Math.max(190, width * 0.34)));
    const count = labels.length;
    const totals = labels.map((_, index) => series.reduce((sum, { values }) => sum + values[index], 0));
    const steps = ticks(Math.max(...totals, ...before));
    const y = (value) => height - bottom - (value / steps.at(-1)) * (height - top - bottom);
    const pitch = (width - left - right) / count;
    const bar = Math.max(1.5, Math.min(pitch * 0.78, 64));
    const x = (index) => left + pitch * (index + 0.5);
    patterns += 1;
    const hatch = `hatch-${patterns}`;
    const shapes = [
      h(
        "defs",
        {},
        h(
          "pattern",
          { id: hatch, width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
          h("rect", { width: 5, height: 5, class: "hatch-ground" }),
          h("line", { x1: 0, y1: 0, x2: 0, y2: 5, class: "hatch" }),
        ),
      ),
    ];
    for (const step of steps) {
      shapes.push(
        h("line", { x1: left, x2: width - right, y1: y(step), y2: y(step), class: step ? "grid" : "grid zero" }),
      );
      shapes.push(h("text", { x: left - 7, y: y(step) + 4, "text-anchor": "end" }, format(step)));
    }
    labels.forEach((_, index) => {
      let base = 0;
      for (const { kind, values } of series) {
        const value = values[index];
        if (value) {
          shapes.push(
            h("rect", {
              x: (x(index) - bar / 2).toFixed(1),
              y: y(base + value).toFixed(1),
              width: bar.toFixed(1),
              height: Math.max(0.5, y(base) - y(base + value)).toFixed(1),
              class: `kind-${kind}`,
              fill: kind === "repost" ? `url(#${hatch})` : null,
            }),
          );
        }
        base += value;
      }
    });
    placeLabels(labels, x, width).forEach(([index, label]) => {
      shapes.push(h("text", { x: x(index), y: height - 6, "text-anchor": "middle" }, label));
    });
    if (before.some(Boolean)) {
      const path = before.map(
        (value, index) =>
          `${index ? "L" : "M"}${(x(index) - pitch / 2).toFixed(1)} ${y(value).toFixed(1)}h${pitch.toFixed(1)}`,
      );
      shapes.push(h("path", { d: path.join(""), class: "before-line" }));
    }
    const marks = labels.map((_, index) => ({
      x: x(index),
      y: y(totals[index]),
      text: texts[index],
      cursor: ["rect", { x: x(index) - pitch / 2, y: top, width: pitch, height: height - top - bottom, rx: 3 }],
    }));
    return { height, shapes, marks, isFlat: true };
  };
}

/** Leave out labels that would run into the one before. A label that is null stands nowhere. */
function placeLabels(labels, x, width) {
  const placed = [];
  let end = 0;
  labels.forEach((label, index) => {
    if (!label) return;
    const half = label.length * 3.2 + 3;
    if (x(index) - half < end || x(index) + half > width + 6) return;
    placed.push([index, label]);
    end = x(index) + half;
  });
  return placed;
}

/** A circle for each weekday and hour, as large as there are posts, and a bar for each weekday. */
function punchCard({ rows, rowNames, texts, format }) {
  return (width) => {
    const [left, right, top] = [34, Math.min(96, width * 0.17), 6];
    const pitch = (width - left - right) / 24;
    const line = Math.max(25, Math.min(34, pitch * 2));
    const largest = Math.max(1, ...rows.flat());
    const sums = rows.map((row) => row.reduce((sum, value) => sum + value, 0));
    const radius = (value) => Math.max(1.1, Math.sqrt(value / largest) * Math.min(pitch, line) * 0.5);
    const shapes = [];
    const marks = [];
    rows.forEach((row, day) => {
      const y = top + line * (day + 0.5);
      shapes.push(h("text", { x: left - 8, y: y + 4, "text-anchor": "end" }, rowNames[day]));
      shapes.push(h("line", { x1: left, x2: width - right, y1: y, y2: y, class: "grid" }));
      row.forEach((value, hour) => {
        const x = left + pitch * (hour + 0.5);
        if (value) shapes.push(h("circle", { cx: x.toFixed(1), cy: y, r: radius(value).toFixed(2), class: "dot" }));
        marks.push({
          x,
          y,
          text: texts[day][hour],
          cursor: ["circle", { cx: x, cy: y, r: Math.max(radius(value) + 2.5, 5) }],
        });
      });
      const room = right - 42;
      shapes.push(
        h("rect", {
          x: width - right + 8,
          y: y - line * 0.28,
          width: Math.max(0.5, (sums[day] / Math.max(1, ...sums)) * room),
          height: line * 0.56,
          class: "side-bar",
        }),
      );
      shapes.push(
        h("text", { x: width - right + 13 + (sums[day] / Math.max(1, ...sums)) * room, y: y + 4 }, format(sums[day])),
      );
    });
    const foot = top + line * 7;
    for (const hour of [0, 6, 12, 18]) {
      shapes.push(
        h(
          "text",
          { x: left + pitch * (hour + 0.5), y: foot + 16, "text-anchor": "middle" },
          `${String(hour).padStart(2, "0")}h`,
        ),
      );
    }
    return { height: foot + 22, shapes, marks };
  };
}

/** A curve of shares over hours, with a line where half is reached and a band for the middle half. */
function shareCurve({ points, half, texts }) {
  return (width) => {
    const [left, right, top, bottom] = [40, 14, 18, 30];
    const height = Math.round(Math.min(300, Math.max(200, width * 0.5)));
    const longest = Math.max(24, ...points.map((point) => point.hours));
    const x = (hours) => left + (hours / longest) * (width - left - right);
    const y = (share) => height - bottom - share * (height - top - bottom);
    const shapes = [];
    shapes.push(
      h("rect", {
        x: x(half.from),
        y: top,
        width: Math.max(1, x(Math.min(half.to, longest)) - x(half.from)),
        height: height - top - bottom,
        class: "band",
      }),
    );
    for (const share of [0, 0.25, 0.5, 0.75, 1]) {
      shapes.push(
        h("line", { x1: left, x2: width - right, y1: y(share), y2: y(share), class: share ? "grid" : "grid zero" }),
      );
      shapes.push(h("text", { x: left - 7, y: y(share) + 4, "text-anchor": "end" }, `${share * 100}%`));
    }
    const step = longest > 240 ? 48 : 24;
    const days = Array.from({ length: Math.floor(longest / step) + 1 }, (_, index) =>
      index ? `${(index * step) / 24} d` : "posted",
    );
    placeLabels(days, (index) => x(index * step), width).forEach(([index, name]) => {
      shapes.push(h("text", { x: x(index * step), y: height - 10, "text-anchor": "middle" }, name));
    });
    const path = [[0, 0], ...points.map((point) => [point.hours, point.share])];
    shapes.push(
      h("path", {
        d: path
          .map(([hours, share], index) => `${index ? "L" : "M"}${x(hours).toFixed(1)} ${y(share).toFixed(1)}`)
          .join(""),
        class: "curve",
      }),
    );
    shapes.push(h("line", { x1: x(half.at), x2: x(half.at), y1: top, y2: height - bottom, class: "marker" }));
    shapes.push(h("text", { x: x(half.at) + 6, y: top - 5, class: "strong" }, half.text));
    for (const point of points)
      shapes.push(h("circle", { cx: x(point.hours), cy: y(point.share), r: 3.5, class: "curve-dot" }));
    const marks = points.map((point, index) => ({
      x: x(point.hours),
      y: y(point.share),
      text: texts[index],
      cursor: ["circle", { cx: x(point.hours), cy: y(point.share), r: 7 }],
    }));
    return { height, shapes, marks, isFlat: true };
  };
}

/** A square for each day, as large as the day was busy; weeks from left to right. */
function calendarChart({ days, monthNames, dayNames }) {
  return (width) => {
    const [left, top] = [30, 18];
    const weeks = Math.max(...days.map((day) => day.week)) + 1;
    const pitch = Math.min(20, (width - left) / weeks);
    const largest = Math.max(1, ...days.map((day) => day.value));
    const shapes = [];
    for (const row of [0, 2, 4])
      shapes.push(h("text", { x: left - 7, y: top + pitch * (row + 0.5) + 4, "text-anchor": "end" }, dayNames[row]));
    const marks = days.map((day) => {
      const [x, y] = [left + pitch * (day.week + 0.5), top + pitch * (day.row + 0.5)];
      const side = day.value ? Math.max(1.6, Math.sqrt(day.value / largest) * pitch * 0.92) : 0.8;
      shapes.push(
        h("rect", {
          x: (x - side / 2).toFixed(1),
          y: (y - side / 2).toFixed(1),
          width: side.toFixed(1),
          height: side.toFixed(1),
          class: "dot",
          rx: Math.min(2, side / 4).toFixed(1),
        }),
      );
      return {
        x,
        y: y - pitch / 2,
        text: day.text,
        cursor: ["rect", { x: x - pitch / 2, y: y - pitch / 2, width: pitch, height: pitch, rx: 2 }],
      };
    });
    const labels = Array.from({ length: weeks }, (_, week) => monthNames[week] ?? null);
    const x = (week) => left + pitch * week + 10;
    for (const [week, label] of placeLabels(labels, x, width))
      shapes.push(h("text", { x: x(week) - 10, y: 11 }, label));
    return { height: top + pitch * 7 + 4, shapes, marks };
  };
}

/** A circle for each night: full if everybody could be asked, hollow if some failed. */
function nightDots({ nights }) {
  return (width) => {
    const pitch = Math.min(26, (width - 4) / Math.max(nights.length, 1));
    const shapes = [];
    const marks = nights.map((night, index) => {
      const x = 2 + pitch * (index + 0.5);
      shapes.push(
        h("circle", { cx: x, cy: 16, r: Math.min(8, pitch * 0.36), class: night.isWell ? "day-ok" : "day-failed" }),
      );
      return { x, y: 8, text: night.text, cursor: ["circle", { cx: x, cy: 16, r: Math.min(11, pitch * 0.48) }] };
    });
    return { height: 32, shapes, marks, isFlat: true };
  };
}
