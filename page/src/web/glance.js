// What one sees first: who it is, how it stands, and six numbers.

import { bar, byId, el, say, set } from "./dom.js";
import { bytes, count, NONE, percent, rate, took } from "./words.js";

/** The largest of what nodes say of their reads: a percentile of all of them together cannot be told from those of each. */
function slowest(state, of) {
  const told = state.nodes.map((node) => node.readMicroseconds?.[of]).filter(Number.isFinite);
  return told.length ? Math.max(...told) : null;
}

function wanted(state) {
  const paused = state.paused ? ", paused" : "";
  return `of ${count(state.nodesWanted)} wanted${paused}`;
}

const TILES = [
  ["Nodes in the ring", (s) => count(s.totals.membersThatAnswer), wanted],
  [
    "Reads a second",
    (s) => rate(s.totals.rates?.reads),
    (s) => `${count(s.totals.connections)} connections`,
  ],
  [
    "Hits",
    (s) => percent(s.totals.rates?.hitRatio),
    (s) => `${rate(s.totals.rates?.misses)} misses a second`,
  ],
  [
    "Memory of entries",
    (s) => bytes(s.totals.usedBytes),
    (s) => `${count(s.totals.entries)} entries, limits ${bytes(s.totals.limitBytes)}`,
    (s) => s.totals.usedBytes / s.totals.limitBytes,
  ],
  [
    "99 % of reads within",
    (s) => took(slowest(s, "p99")),
    (s) => `half ${took(slowest(s, "p50"))}, 99.9 % ${took(slowest(s, "p999"))}, at the slowest node`,
  ],
  [
    "Evicted a second",
    (s) => rate(s.totals.rates?.evicted),
    (s) => `${rate(s.totals.rates?.expired)} expired, ${rate(s.totals.rates?.forwarded)} forwarded`,
  ],
];

export function glance() {
  const tiles = TILES.map(([label, value, more, part]) => {
    const [number, below] = [el("dd", { class: "value" }, NONE), el("span", {})];
    const filled = part ? bar("") : null;
    const details = el("dd", { class: "more" }, filled?.node, below);
    byId("glance").append(el("div", { class: "tile" }, el("dt", {}, label), number, details));
    return (state) => {
      say(number, value(state));
      say(below, more(state));
      filled?.fill([part(state)]);
    };
  });
  return {
    show(state) {
      const { name, namespace } = state;
      const isTold = namespace && namespace !== "default";
      say(byId("brand"), isTold ? `Ringcache in ${namespace}` : "Ringcache");
      say(byId("name"), name);
      document.title = `${name} · Ringcache`;
      say(byId("summary"), state.summary?.message ?? "Nobody has told yet how it stands.");
      const chip = byId("state");
      chip.hidden = !state.summary;
      say(chip, state.summary?.state ?? "");
      set(chip, "class", state.ready ? "chip good" : "chip");
      tiles.forEach((update) => update(state));
    },
  };
}
