// The miss-ratio curve: the hit ratio of each number of nodes, where the cluster is, and what another size would give.

import { byId, el, renew, say, svg } from "./dom.js";
import { bytes, count, nodes, percent, rate } from "./words.js";

const HEIGHT = 250;
const [LEFT, RIGHT, TOP, BOTTOM] = [46, 18, 30, 42];
/** Pixels that a number below the axis needs. */
const NUMBER_PIXELS = 26;
/** What was measured and what is predicted are as good as the same if they differ by less: 0.1 point. */
const SAME = 0.001;

/** Where things are in a picture of that width. */
function places(width, sizes) {
  const steps = Math.max(1, sizes - 1);
  return {
    x: (n) => LEFT + ((n - 1) / steps) * (width - LEFT - RIGHT),
    y: (ratio) => HEIGHT - BOTTOM - ratio * (HEIGHT - TOP - BOTTOM),
  };
}

function axes(width, sizes, { x, y }, nodeBytes) {
  const lines = [0, 0.25, 0.5, 0.75, 1].flatMap((ratio) => [
    svg("path", { class: "grid", d: `M${LEFT} ${y(ratio)}H${width - RIGHT}` }),
    svg("text", { x: LEFT - 8, y: y(ratio) + 4, "text-anchor": "end" }, `${ratio * 100} %`),
  ]);
  const every = Math.ceil((sizes * NUMBER_PIXELS) / (width - LEFT - RIGHT));
  const all = Array.from({ length: sizes }, (_, at) => at + 1);
  const numbers = all.filter((n) => n === 1 || n % every === 0);
  const below = numbers.map((n) =>
    svg("text", { x: x(n), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, String(n)),
  );
  const middle = (LEFT + width - RIGHT) / 2;
  const each = `nodes, each with ${bytes(nodeBytes)} for entries`;
  const what = svg("text", { x: middle, y: HEIGHT - 4, "text-anchor": "middle" }, each);
  return [...lines, ...below, what];
}

/** The mark of where the cluster is; its words stay inside the picture. */
function here(width, { x, y }, now, ratio) {
  const [at, words] = [x(now), `here: ${percent(ratio)} measured`];
  const room = 75;
  const anchor = at < LEFT + room ? "start" : at > width - RIGHT - room ? "end" : "middle";
  return [
    svg("path", { class: "here-line", d: `M${at} ${TOP}V${HEIGHT - BOTTOM}` }),
    svg("text", { class: "here-text", x: at, y: TOP - 12, "text-anchor": anchor }, words),
    svg("circle", { class: "here", cx: at, cy: y(ratio), r: 7.5 }),
  ];
}

function picture(width, it, tried) {
  const place = places(width, it.sizes.length);
  const points = it.sizes.map((size) => [place.x(size.nodes), place.y(size.hitRatio)]);
  const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" ");
  const floor = HEIGHT - BOTTOM;
  const area = `${LEFT},${floor} ${line} ${points.at(-1)[0].toFixed(1)},${floor}`;
  const size = it.sizes[tried - 1];
  const inWords = it.sizes.map((one) => `${nodes(one.nodes)} ${percent(one.hitRatio)}`).join(", ");
  const title = `Predicted hit ratio by number of nodes: ${inWords}. Now ${nodes(it.nodes)}, ${measured(it)}.`;
  return svg(
    "svg",
    { viewBox: `0 0 ${width} ${HEIGHT}`, height: HEIGHT, role: "img", "aria-label": title },
    ...axes(width, it.sizes.length, place, it.sizes[0].bytes),
    svg("polygon", { class: "area", points: area }),
    svg("polyline", { class: "curve", points: line }),
    ...points.map(([cx, cy]) => svg("circle", { class: "dot", cx, cy, r: 3.5 })),
    ...here(width, place, it.nodes, it.hitRatio),
    tried === it.nodes
      ? null
      : svg("circle", {
          class: "tried",
          cx: place.x(size.nodes),
          cy: place.y(size.hitRatio),
          r: 8,
        }),
  );
}

/** What the present size gives. A cluster that has grown lately is not yet where the curve says. */
function measured(it) {
  const predicted = it.sizes[it.nodes - 1].hitRatio;
  const words = `measured ${percent(it.hitRatio)}`;
  if (Math.abs(predicted - it.hitRatio) < SAME) return `${words} hits`;
  return `${words}, the curve says ${percent(predicted)} once it is warm`;
}

/** What a number of nodes would give, against what the present number gives by the same curve. */
function against(it, wanted) {
  const [now, then] = [it.sizes[it.nodes - 1], it.sizes[wanted - 1]];
  const points = (then.hitRatio - now.hitRatio) * 100;
  const misses = then.originReadsPerSecond - now.originReadsPerSecond;
  const change = Math.abs(points).toFixed(1);
  if (change === "0.0") return `${percent(then.hitRatio)} hits predicted, as for the present size.`;
  const [more, other] = points > 0 ? ["more", "fewer"] : ["less", "more"];
  const predicted = `${percent(then.hitRatio)} hits predicted, ${change} points ${more} than for the present size`;
  return `${predicted}: ${rate(Math.abs(misses))} ${other} misses a second.`;
}

function sentences(it) {
  const line = (strong, text) => el("li", {}, el("strong", {}, strong), ` ${text}`);
  const reads = `${rate(it.readsPerSecond)} reads a second, ${measured(it)}.`;
  const one = (by, word) => {
    const wanted = it.nodes + by;
    if (!it.sizes[wanted - 1]) return null;
    return line(`One node ${word} (${count(wanted)}):`, against(it, wanted));
  };
  const never = `${percent(it.absent)} of the reads are of keys that nobody has written or used for long, ${percent(it.expired)} of keys that had expired: misses at any size.`;
  return [
    line("You are here:", `${nodes(it.nodes)}, ${reads}`),
    one(1, "more"),
    one(-1, "less"),
    line("Working set:", `${bytes(it.workingSetBytes)}. ${never}`),
  ].filter((item) => item !== null);
}

export function curve() {
  const [host, slider] = [byId("curve"), byId("size")];
  let it = null;
  let chosen = null;

  function draw() {
    byId("sizes").hidden = !it;
    if (!it) {
      const why = "Nothing was read lately, or not all nodes tell what they have measured.";
      renew(host, [el("p", { class: "calm" }, why)]);
      return;
    }
    const tried = Math.min(chosen ?? it.nodes, it.sizes.length);
    renew(host, [picture(Math.max(240, host.clientWidth), it, tried)]);
    slider.max = String(it.sizes.length);
    slider.value = String(tried);
    slider.setAttribute("aria-valuetext", nodes(tried));
    const isNow = tried === it.nodes;
    const gives = isNow ? `${measured(it)}.` : against(it, tried);
    say(byId("tried"), `${nodes(tried)}${isNow ? " (now)" : ""}: ${gives}`);
  }

  slider.addEventListener("input", () => {
    const wanted = Number(slider.value);
    // Who is back where the cluster is goes with it.
    chosen = wanted === it.nodes ? null : wanted;
    draw();
  });
  let width = 0;
  new ResizeObserver(() => {
    if (host.clientWidth !== width) draw();
    width = host.clientWidth;
  }).observe(host);

  return {
    show(state) {
      const told = state.curve;
      // A cluster that has grown beyond what the curve was told for is somewhere else on it.
      it = told && told.sizes[told.nodes - 1] ? told : null;
      if (it) renew(byId("neighbours"), sentences(it));
      draw();
    },
  };
}
