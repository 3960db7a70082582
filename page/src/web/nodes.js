// The nodes, one row each. On a narrow screen a row is a card.

import { bar, byId, el, say, set } from "./dom.js";
import { colour } from "./palette.js";
import { byName, bytes, count, NONE, percent, rate, short, took } from "./words.js";

/** How good it is what a node is doing; all other words are of nodes that come or go. */
const GOOD = { Active: "good", Silent: "bad", Gone: "bad" };

function slots({ slots: owned, slotsWanted }) {
  const isThere = slotsWanted === null || owned === slotsWanted;
  return isThere ? count(owned) : `${count(owned)} of ${count(slotsWanted)}`;
}

function latencies(of) {
  if (!of) return NONE;
  return `${took(of.p50)} · ${took(of.p99)} · ${took(of.p999)}`;
}

const where = ({ place }) => place.map(([what, value]) => `${what} ${value}`).join(", ") || NONE;

/** Heading, whether it is a number, and the text. */
const COLUMNS = [
  ["Slots", true, slots],
  ["Memory", false, (it) => `${bytes(it.usedBytes)} of ${bytes(it.limitBytes)}`],
  ["Entries", true, (it) => count(it.entries)],
  ["Reads/s", true, (it) => rate(it.rates?.reads)],
  ["Hits", true, (it) => percent(it.rates?.hitRatio)],
  ["Reads within", false, (it) => latencies(it.readMicroseconds)],
  ["Writes within", false, (it) => latencies(it.writeMicroseconds)],
  ["Busy", true, (it) => (it.busy === null ? NONE : `${Math.round(it.busy * 100)} %`)],
  ["Reached at", false, where],
];

const KINDS = { Memory: "wide", "Reads within": "times", "Writes within": "times" };

function table() {
  const head = ["Node", "State", ...COLUMNS.map(([label]) => label)];
  const isNumber = [false, false, ...COLUMNS.map(([, number]) => number)];
  const cell = (label, at) =>
    el("th", { scope: "col", role: "columnheader", class: isNumber[at] ? "number" : null }, label);
  const body = el("tbody", { role: "rowgroup" });
  const node = el(
    "table",
    { role: "table", "aria-labelledby": "nodes-title" },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...head.map(cell))),
    body,
  );
  return { node, body };
}

function row(name, pick) {
  const swatch = el("span", { class: "swatch", "aria-hidden": "true" }, short(name));
  const button = el(
    "button",
    { type: "button", class: "node", "aria-pressed": "false", title: "Show it in the ring" },
    swatch,
    name,
  );
  button.addEventListener("click", () => pick(name));
  const state = el("span", { class: "is" });
  const filled = bar("behind", "");
  const cells = COLUMNS.map(([label, isNumber]) => {
    const text = el("span", {});
    const kind = isNumber ? "number" : (KINDS[label] ?? null);
    const inside = el("span", {}, text, label === "Memory" ? filled.node : null);
    return { text, node: el("td", { role: "cell", class: kind, "data-label": label }, inside) };
  });
  const node = el(
    "tr",
    { role: "row", "data-node": name },
    el("td", { role: "cell", class: "name", "data-label": "Node" }, button),
    el("td", { role: "cell", "data-label": "State" }, state),
    ...cells.map((one) => one.node),
  );
  return {
    node,
    show(it, picked) {
      say(state, it.state);
      set(state, "class", `is ${GOOD[it.state] ?? "warn"}`);
      set(state, "title", it.trouble ?? "");
      set(swatch, "class", `swatch ${colour(name)}`);
      set(filled.node, "class", `bar ${colour(name)}`);
      set(button, "aria-pressed", String(name === picked));
      cells.forEach((one, at) => say(one.text, COLUMNS[at][2](it)));
      filled.fill([it.residentBytes / it.limitBytes, it.usedBytes / it.limitBytes]);
    },
  };
}

/** `pick` is called with the name of a node that is to be shown in the ring. */
export function nodes(pick) {
  const { node, body } = table();
  const rows = new Map();
  byId("nodes").append(node);
  return {
    show(state, picked) {
      const all = [...state.nodes].sort((one, other) => byName(one.name, other.name));
      // Two nodes may have one name for a moment, when one replaces the other.
      const wanted = new Map(all.map((it) => [it.uid, it]));
      for (const [uid, old] of rows) {
        if (!wanted.has(uid)) {
          old.node.remove();
          rows.delete(uid);
        }
      }
      let before = null;
      for (const [uid, it] of wanted) {
        if (!rows.has(uid)) rows.set(uid, row(it.name, pick));
        const one = rows.get(uid);
        const next = before ? before.nextSibling : body.firstChild;
        // A row that stays where it is keeps the focus.
        if (next !== one.node) body.insertBefore(one.node, next);
        one.show(it, picked);
        before = one.node;
      }
    },
  };
}
