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
/** @typedef {{title: string, colour: string, bars?: boolean, value: (minute: Minute) => number | null, least: number, name: (value: number) => string}} Figure */

/** @type {Figure[]} */
const FIGURES = [
  { title: "Time to first token", colour: "--accent", value: (minute) => minute.ttft_ms, least: 100, name: durationOf },
  { title: "Tokens per second, each reply", colour: "--name", value: (minute) => minute.tokens_per_s, least: 10, name: numberOf },
  { title: "Errors", colour: "--bad", bars: true, value: errorsOf, least: 4, name: numberOf },
];

let loading = /** @type {Promise<any> | null} */ (null);

/** @param {{live: import("./live_state.js").LiveState}} props */
export function Charts({ live }) {
  useChanges(live);
  const [library, setLibrary] = useState(/** @type {any} */ (null));
  const [dark, setDark] = useState(DARK.matches);
  useEffect(() => {
    loading ??= load();
    loading.then((loaded) => setLibrary(() => loaded));
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
  return html`<div class="charts">${FIGURES.map(
    (figure) => html`<figure key=${figure.title}><figcaption>${figure.title} <span class="figures">${summary(figure, minutes)}</span></figcaption>
      ${library ? html`<${Chart} key=${dark} library=${library} figure=${figure} minutes=${minutes} />` : html`<div class="chart"></div>`}</figure>`,
  )}</div>`;
}

/** @param {{library: any, figure: Figure, minutes: Minute[]}} props */
function Chart({ library, figure, minutes }) {
  const ref = useRef(/** @type {HTMLDivElement | null} */ (null));
  const chart = useRef(/** @type {any} */ (null));
  useEffect(() => {
    const element = /** @type {HTMLDivElement} */ (ref.current);
    chart.current = new library(optionsOf(library, figure, element), dataOf(figure, minutes), element);
    const resized = new ResizeObserver(() => chart.current.setSize({ width: element.clientWidth, height: HEIGHT }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      chart.current.destroy();
    };
  }, []);
  useEffect(() => chart.current.setData(dataOf(figure, minutes)));
  return html`<div class="chart" ref=${ref} role="img" aria-label=${`${figure.title}: ${summary(figure, minutes)}`}></div>`;
}

/** @param {any} library @param {Figure} figure @param {HTMLElement} element */
function optionsOf(library, figure, element) {
  const colour = (/** @type {string} */ name) => colourOf(name, element);
  const axis = {
    stroke: colour("--soft"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { show: false },
    font: "12px system-ui, sans-serif",
  };
  const stroke = colour(figure.colour);
  const times = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    cursor: { show: false },
    legend: { show: false },
    scales: { x: { time: true, range: lastHour }, y: { range: (/** @type {any} */ _, /** @type {number} */ __, /** @type {number} */ most) => [0, Math.max(most ?? 0, figure.least) * 1.1] } },
    axes: [
      { ...axis, grid: { show: false }, space: 90, size: 24, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((each) => times.format(each * 1000)) },
      { ...axis, space: 40, size: 56, values: (/** @type {any} */ _, /** @type {number[]} */ at) => at.map((each) => (Number.isInteger(each) || !figure.bars ? figure.name(each) : "")) },
    ],
    series: [
      {},
      {
        stroke,
        fill: figure.bars ? stroke : undefined,
        width: figure.bars ? 0 : 2,
        spanGaps: true,
        points: { show: !figure.bars, size: 6, width: 0, fill: stroke },
        ...(figure.bars ? { paths: library.paths.bars({ size: [0.7, 10] }) } : {}),
      },
    ],
  };
}

function lastHour() {
  const now = Date.now() / 1000;
  return [now - HOUR_S, now + MINUTE_S];
}

/** @param {Figure} figure @param {Minute[]} minutes */
function dataOf(figure, minutes) {
  return [minutes.map((minute) => minute.at + MINUTE_S / 2), minutes.map(figure.value)];
}

/** @param {Minute} minute */
function errorsOf(minute) {
  return Object.values(minute.errors).reduce((sum, count) => sum + count, 0);
}

/** Return the latest value; of errors, the counts by reason. @param {Figure} figure @param {Minute[]} minutes */
function summary(figure, minutes) {
  if (!figure.bars) {
    const latest = minutes.findLast((minute) => figure.value(minute) !== null);
    return latest ? figure.name(/** @type {number} */ (figure.value(latest))) : "–";
  }
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { errors } of minutes) for (const [reason, count] of Object.entries(errors)) counts.set(reason, (counts.get(reason) ?? 0) + count);
  return counts.size ? [...counts].map(([reason, count]) => `${numberOf(count)} ${reason}`).join(" · ") : "none";
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
