// The last minutes: hits and reads a second, and when the number of nodes has changed. Remembered by the page itself.

import { byId, renew, svg } from "./dom.js";
import { nodes, percent, rate } from "./words.js";

const KEPT_MS = 180_000;
/** A pause as long as this is a gap: nobody looked. */
const GAP_MS = 5000;
const HEIGHT = 230;
const [LEFT, RIGHT] = [52, 10];
const PANELS = [
  { title: "Hits", kind: "curve", of: (it) => it.hits, words: percent, top: 26, bottom: 98 },
  { title: "Reads a second", kind: "reads", of: (it) => it.reads, words: rate, top: 134, bottom: 206 },
];

/** A round number that is not less than any of these. */
function roof(values) {
  const most = Math.max(1, ...values);
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((times) => times * unit).find((it) => it >= most);
}

/** The points as lines, broken where nothing is known. */
function lines(points) {
  const parts = [];
  let before = null;
  for (const { at, x, y } of points) {
    if (y === null) {
      before = null;
      continue;
    }
    const goesOn = before !== null && at - before <= GAP_MS;
    parts.push(`${goesOn ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`);
    before = at;
  }
  return parts.join("");
}

function panel({ title, kind, of, words, top, bottom }, kept, x, width) {
  const values = kept.map(of).filter((value) => value !== null);
  const most = kind === "curve" ? 1 : roof(values);
  const y = (value) => (value === null ? null : bottom - (value / most) * (bottom - top));
  const points = kept.map((it) => ({ at: it.at, x: x(it.at), y: y(of(it)) }));
  const last = kept.length ? words(of(kept.at(-1))) : "";
  const edge = (value) => [
    svg("path", { class: "grid", d: `M${LEFT} ${y(value)}H${width - RIGHT}` }),
    svg("text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value === 0 ? "0" : kind === "curve" ? "100 %" : rate(value)),
  ];
  return [
    svg("text", { class: "title", x: LEFT, y: top - 10 }, `${title}: ${last}`),
    ...edge(0),
    ...edge(most),
    svg("path", { class: kind, d: lines(points) }),
  ];
}

/** Where another number of nodes took part than a look before. */
function steps(kept, x, edge) {
  const changed = kept.filter((it, at) => at > 0 && it.nodes !== kept[at - 1].nodes);
  return changed.flatMap((it) => [
    svg("path", { class: "step", d: `M${x(it.at).toFixed(1)} 26V206` }),
    svg(
      "text",
      { class: "step-text", x: x(it.at).toFixed(1), y: 119, "text-anchor": x(it.at) > edge ? "end" : "middle" },
      nodes(it.nodes),
    ),
  ]);
}

export function minutes() {
  const host = byId("minutes");
  let kept = [];

  function draw() {
    const width = Math.max(240, host.clientWidth);
    const now = kept.at(-1)?.at ?? 0;
    const x = (at) => width - RIGHT - ((now - at) / KEPT_MS) * (width - LEFT - RIGHT);
    const said = PANELS.map(({ title, of, words }) => `${title} ${words(of(kept.at(-1)))}`);
    renew(host, [
      svg(
        "svg",
        { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": `Now: ${said.join(", ")}.` },
        ...PANELS.flatMap((one) => panel(one, kept, x, width)),
        ...steps(kept, x, width - 40),
        svg("text", { x: LEFT, y: HEIGHT - 6 }, "3 minutes ago"),
        svg("text", { x: width - RIGHT, y: HEIGHT - 6, "text-anchor": "end" }, "now"),
      ),
    ]);
  }

  let width = 0;
  new ResizeObserver(() => {
    if (kept.length && host.clientWidth !== width) draw();
    width = host.clientWidth;
  }).observe(host);

  return {
    show(state) {
      const at = Date.now();
      const { rates, membersThatAnswer } = state.totals;
      const [hits, reads] = [rates?.hitRatio ?? null, rates?.reads ?? null];
      kept.push({ at, hits, reads, nodes: membersThatAnswer });
      kept = kept.filter((it) => at - it.at <= KEPT_MS);
      draw();
    },
  };
}
