// The ring: a band of who owns the slots now, and a thin line around it of who should.

import { byId, svg } from "./dom.js";
import { colour } from "./palette.js";
import { count, nodes, short } from "./words.js";

const BAND = 128;
const LINE = 158;
/** Slots that are left out between two arcs, and the least arc that has such a gap. */
const GAP = 26;
const LEAST = 4 * GAP;
/** The least arc that has room for a label. */
const LABELLED = 500;

function arc(kind, radius, slots, [first, last, owner], names, picked) {
  const name = names[owner];
  const length = last - first + 1;
  const drawn = length > LEAST && length < slots ? length - GAP : length;
  const start = first + (length - drawn) / 2;
  const is = name === picked ? "is-picked" : "";
  return svg("circle", {
    class: `${kind} ${colour(name)} ${is}`,
    r: radius,
    pathLength: slots,
    "stroke-dasharray": `${drawn} ${slots - drawn}`,
    "stroke-dashoffset": -start,
    transform: "rotate(-90)",
  });
}

/** What nobody is known to own is the ground below all arcs, so that it needs none of its own. */
function ground(radius, kind) {
  return svg("circle", { class: `${kind} nobody`, r: radius });
}

function label(name, arcs, slots) {
  const [first, last] = arcs.reduce((best, it) => (it[1] - it[0] > best[1] - best[0] ? it : best));
  if (last - first < LABELLED) return null;
  const angle = ((first + last + 1) / slots - 0.5) * Math.PI;
  const [x, y] = [Math.cos(angle) * BAND, Math.sin(angle) * BAND];
  return svg("text", { class: `label ${colour(name)}`, x: x.toFixed(1), y: y.toFixed(1) }, short(name));
}

function inWords(ring) {
  const owned = ring.members.map((name, member) => {
    const arcs = ring.owned.filter((it) => it[2] === member);
    return `${name} about ${count(arcs.reduce((sum, [a, b]) => sum + b - a + 1, 0))} slots`;
  });
  return `Ring at epoch ${ring.epoch}: ${owned.join(", ")}.`;
}

export function ring() {
  const host = byId("ring");
  let drawn = "";
  return {
    show(state, picked) {
      const { ring: it } = state;
      const what = JSON.stringify([it, picked]);
      if (what === drawn) return;
      drawn = what;
      if (!it) {
        host.replaceChildren("There is no ring yet.");
        return;
      }
      const { members, slots } = it;
      const ofSomebody = (arcs) => arcs.filter((one) => one[2] !== null);
      const draw = (kind, radius, arcs) =>
        ofSomebody(arcs).map((one) => arc(kind, radius, slots, one, members, picked));
      const labels = members.map((name, member) => {
        const arcs = it.owned.filter((one) => one[2] === member);
        return arcs.length ? label(name, arcs, slots) : null;
      });
      const moving = it.slotsToGo > 0;
      const below = moving ? `${count(it.slotsToGo)} slots on their way` : `epoch ${it.epoch}`;
      host.replaceChildren(
        svg(
          "svg",
          { viewBox: "-170 -170 340 340", role: "img", "aria-label": inWords(it) },
          svg(
            "g",
            { class: picked ? "picked" : "" },
            ground(BAND, "owned"),
            ...draw("owned", BAND, it.owned),
            ground(LINE, "wanted"),
            ...draw("wanted", LINE, it.wanted),
          ),
          ...labels,
          svg("text", { class: "many", y: 8 }, String(members.length)),
          svg("text", { class: "below", y: 32 }, nodes(members.length).replace(/^\S+ /, "")),
          svg("text", { class: "below", y: 54 }, below),
        ),
      );
    },
  };
}
