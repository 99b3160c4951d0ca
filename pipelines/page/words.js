// The content that travels with the page, and how its numbers and times are said.

/** Give rows the names of their columns again, which `packing.py` wrote once. */
function unpacked(value) {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(unpacked);
  if (value.columns && value.rows)
    return value.rows.map((row) => Object.fromEntries(row.map((cell, at) => [value.columns[at], unpacked(cell)])));
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, unpacked(each)]));
}

const content = unpacked(JSON.parse(document.getElementById("content").textContent));
const state = {
  pack: 0,
  period: "week",
  sort: "score",
  isDescending: true,
  search: "",
  isWhole: false,
  tie: "interactions",
};
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

/** When something was posted: the year only if it is another one. */
const postedAt = (when) =>
  new Date(when).getUTCFullYear() === observedAt.getUTCFullYear() ? dateTime(when) : fullDate(when);

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
