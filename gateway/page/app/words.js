/** Dates, numbers, sizes and names, as the visitor reads them. */

const DAY_MS = 86_400_000;
const dayName = new Intl.DateTimeFormat(undefined, { month: "long", year: "numeric" });
const moment = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const numbers = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });
const whole = new Intl.NumberFormat(undefined, { maximumFractionDigits: 0 });

/** @param {string} time ISO 8601, UTC */
export function dateOf(time) {
  return new Date(/[zZ]|[+-]\d\d:?\d\d$/.test(time) ? time : `${time}Z`);
}

/** @param {string} time */
export function momentOf(time) {
  return moment.format(dateOf(time));
}

/** Return the heading under which a list shows this time. @param {string} time */
export function groupOf(time) {
  const then = dateOf(time);
  const today = new Date();
  today.setHours(0, 0, 0, 0);
  const days = Math.ceil((today.getTime() - then.getTime()) / DAY_MS);
  if (days <= 0) return "Today";
  if (days === 1) return "Yesterday";
  if (days <= 7) return "Last 7 days";
  if (days <= 30) return "Last 30 days";
  return dayName.format(then);
}

/** @param {number} value */
export function numberOf(value) {
  return (value < 100 ? numbers : whole).format(value);
}

/** @param {number} ms */
export function durationOf(ms) {
  return ms < 1000 ? `${whole.format(ms)} ms` : `${numbers.format(ms / 1000)} s`;
}

/** @param {number} bytes */
export function sizeOf(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  return bytes < 1024 ** 2 ? `${numbers.format(bytes / 1024)} KB` : `${numbers.format(bytes / 1024 ** 2)} MB`;
}

const spans = [
  { unit: "day", s: 86_400 },
  { unit: "hour", s: 3600 },
  { unit: "minute", s: 60 },
];

/** Return a duration in its largest unit. @param {number} seconds */
export function spanOf(seconds) {
  const { unit, s } = spans.find((span) => seconds >= span.s) ?? { unit: "second", s: 1 };
  return new Intl.NumberFormat(undefined, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(
    Math.floor(Math.max(0, seconds) / s),
  );
}

const clock = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });

/** Return the time of day, with the date unless it is today. @param {number} epoch seconds since 1970 */
export function clockOf(epoch) {
  const isToday = new Date(epoch * 1000).toDateString() === new Date().toDateString();
  return (isToday ? clock : moment).format(epoch * 1000);
}

/** @param {string} text */
export function capitalised(text) {
  return text.charAt(0).toLocaleUpperCase() + text.slice(1);
}

const TURNS = /[\p{Cc}\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/gu;

/** Return a file's name with the characters that turn the direction of text as codes: they can hide its extension. @param {string} name */
export function fileNameOf(name) {
  return name.replace(TURNS, (turn) => `[U+${turn.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);
}
