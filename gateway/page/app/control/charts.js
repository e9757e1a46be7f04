/** Figures of the last hour by minute, as charts. The library is loaded when they are first shown. */

import { html, useEffect, useRef, useState } from "../../vendor/preact.js";
import { useChanges } from "../changes.js";
import { FILES } from "../gateway.js";
import { durationOf, numberOf } from "../words.js";

const HEIGHT = 120;
const HOUR_S = 3600;
const MINUTE_S = 60;
const REDRAWN_MS = 15_000;
const DARK = matchMedia("(prefers-color-scheme: dark)");

/** @typedef {import("./live_state.js").Minute} Minute */
/** One curve, or the reasons of errors as bars on each other, the largest sum first.
 * @typedef {{name: string, colour: string, value: (minute: Minute) => number | null}} Series */
/** @typedef {{title: string, bars?: boolean, series: Series[], least: number, name: (value: number) => string}} Figure */

/** @type {Figure[]} */
const CURVES = [
  { title: "Time to first token", series: [{ name: "", colour: "--accent", value: (minute) => minute.ttft_ms }], least: 100, name: durationOf },
  { title: "Tokens per second, each reply", series: [{ name: "", colour: "--name", value: (minute) => minute.tokens_per_s }], least: 10, name: numberOf },
];
const ERROR_COLOURS = ["--bad", "--warn", "--keyword", "--name", "--soft"];

let loading = /** @type {Promise<any> | null} */ (null);

/** @param {{live: import("./live_state.js").LiveState}} props */
export function Charts({ live }) {
  useChanges(live);
  const [library, setLibrary] = useState(/** @type {any} */ (null));
  const [dark, setDark] = useState(DARK.matches);
  useEffect(() => {
    loading ??= load();
    loading.then(
      (loaded) => setLibrary(() => loaded),
      () => (loading = null), // the next charts ask for it again
    );
    const follow = () => setDark(DARK.matches);
    DARK.addEventListener("change", follow);
    const moving = setInterval(() => live.changed(), REDRAWN_MS);
    return () => {
      clearInterval(moving);
      DARK.removeEventListener("change", follow);
    };
  }, []);
  const minutes = [...live.minutes.values()].sort((a, b) => a.at - b.at);
  if (!minutes.length) return html`<p class="note">No reply has ended in the last hour.</p>`;
  return html`<div class="charts">${[...CURVES, errorsOf(minutes)].map(
    (figure) => html`<figure key=${figure.title}><figcaption>${figure.title} <span class="figures">${legend(figure, minutes)}</span></figcaption>
      ${library ? html`<${Chart} key=${`${dark} ${figure.series.map(({ name }) => name)}`} library=${library} figure=${figure} minutes=${minutes} now=${() => live.now()} />` : html`<div class="chart"></div>`}</figure>`,
  )}</div>`;
}

/** @param {{library: any, figure: Figure, minutes: Minute[], now: () => number}} props now: the gateway's time */
function Chart({ library, figure, minutes, now }) {
  const ref = useRef(/** @type {HTMLDivElement | null} */ (null));
  const chart = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (ref.current);
    chart.current = new library(optionsOf(library, figure, element, now), dataOf(figure, minutes), element);
    const resized = new ResizeObserver(() => chart.current.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      chart.current.destroy();
    };
  }, []);
  useEffect(() => chart.current.setData(dataOf(figure, minutes)));
  return html`<div class="chart" ref=${ref} role="img" aria-label=${`${figure.title}: ${summaries(figure, minutes).map(({ text }) => text).join(", ")}`}></div>`;
}

/** @param {any} library @param {Figure} figure @param {HTMLElement} element @param {() => number} now */
function optionsOf(library, figure, element, now) {
  const colour = (/** @type {string} */ name) => colourOf(name, element);
  const axis = {
    stroke: colour("--soft"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  const times = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 28, 0, 0], // half of a time of day below the right end
    cursor: { show: false },
    legend: { show: false },
    scales: { x: { time: true, range: () => [now() - HOUR_S, now() + MINUTE_S] }, y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ most) => [0, Math.max(most ?? 0, figure.least) * 1.1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 90, size: 24, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((each) => times.format(each * 1000)) },
      { ...axis, space: 40, size: 56, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((each) => (Number.isInteger(each) || !figure.bars ? figure.name(each) : "")) },
    ],
    series: [
      {},
      ...figure.series.map((series) => {
        const stroke = colour(series.colour);
        return {
          stroke,
          fill: figure.bars ? stroke : undefined,
          width: figure.bars ? 0 : 2,
          spanGaps: true,
          points: { show: !figure.bars, size: 6, width: 0, fill: stroke },
          ...(figure.bars ? { paths: library.paths.bars({ size: [0.7, 10] }) } : {}),
        };
      }),
    ],
  };
}

/** @param {Figure} figure @param {Minute[]} minutes */
function dataOf(figure, minutes) {
  return [minutes.map((minute) => minute.at + MINUTE_S / 2), ...figure.series.map(({ value }) => minutes.map(value))];
}

/** Return the errors by reason; with more reasons than colours the last colour is that of all others.
 * @param {Minute[]} minutes @returns {Figure} */
function errorsOf(minutes) {
  const reasons = [...new Set(minutes.flatMap(({ errors }) => Object.keys(errors)))].sort();
  const named = reasons.length > ERROR_COLOURS.length ? [...reasons.slice(0, ERROR_COLOURS.length - 1), "others"] : reasons;
  const below = (/** @type {number} */ at) => (at === ERROR_COLOURS.length - 1 ? reasons : reasons.slice(0, at + 1));
  const series = named.map((name, at) => ({
    name,
    colour: /** @type {string} */ (ERROR_COLOURS[at]),
    value: (/** @type {Minute} */ { errors }) => below(at).reduce((sum, reason) => sum + (errors[reason] ?? 0), 0),
  }));
  return { title: "Errors", bars: true, series: series.reverse(), least: 4, name: numberOf };
}

/** Return the latest value; of errors, the counts by reason.
 * @param {Figure} figure @param {Minute[]} minutes @returns {{text: string, colour: string}[]} */
function summaries({ bars, series, name }, minutes) {
  if (!bars) {
    const value = minutes.map(/** @type {Series} */ (series[0]).value).findLast((each) => each !== null) ?? null;
    return [{ text: value === null ? "–" : name(value), colour: "" }];
  }
  const sums = series.map(({ value }) => minutes.reduce((sum, minute) => sum + (value(minute) ?? 0), 0));
  const counts = series.map((each, at) => ({ text: `${numberOf(Number(sums[at]) - (sums[at + 1] ?? 0))} ${each.name}`, colour: each.colour }));
  return counts.length ? counts.reverse() : [{ text: "none", colour: "" }];
}

/** @param {Figure} figure @param {Minute[]} minutes */
function legend(figure, minutes) {
  return summaries(figure, minutes).map(
    ({ text, colour }, at) => html`${at ? " · " : ""}${colour ? html`<i class=${`key ${colour.slice(2)}`}></i>` : null}${text}`,
  );
}

/** Return a colour of variables.css as a canvas understands it. @param {string} name @param {HTMLElement} element */
function colourOf(name, element) {
  element.style.color = `var(${name})`;
  const colour = getComputedStyle(element).color;
  element.style.color = "";
  return colour;
}

async function load() {
  const style = Object.assign(document.createElement("link"), { rel: "stylesheet", href: `${FILES}/vendor/uplot.css` });
  document.head.append(style);
  return (await import("../../vendor/uplot.js")).default;
}
