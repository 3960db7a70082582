// Hot keys, events and conditions.

import { arrange, bar, byId, el, renew, say } from "./dom.js";
import { colour } from "./palette.js";
import { bytes, clock, count, percent } from "./words.js";

const MOST_EVENTS = 200;

export function keys() {
  const [host, list] = [byId("keys"), el("ul", { class: "keys" })];
  const none = el("p", { class: "calm" }, "No key gets far more of the operations than others.");
  let rows = new Map();

  function one(it) {
    const share = bar("");
    share.fill([it.shareOfNode]);
    share.node.classList.add(colour(it.node));
    const size = it.keyBytes >= 1048576 ? bytes(it.keyBytes) : `${count(it.keyBytes)} bytes`;
    return [
      el(
        "div",
        { class: "top" },
        el("bdi", { class: "key" }, it.isCut ? `${it.key}…` : it.key),
        el("span", { class: "share" }, percent(it.shareOfNode)),
      ),
      share.node,
      el("span", { class: "small" }, `of ${it.node}; the key has ${size}`),
    ];
  }

  return {
    show(state) {
      const kept = new Map();
      for (const it of state.hotKeys) {
        let id = JSON.stringify([it.node, it.key, it.keyBytes]);
        // Long keys may differ only in what is cut off.
        while (kept.has(id)) id += "+";
        const row = rows.get(id) ?? el("li", {});
        renew(row, one(it));
        kept.set(id, row);
      }
      rows = kept;
      arrange(list, [...rows.values()]);
      arrange(host, [rows.size ? list : none]);
    },
  };
}

/** Events of a run of the program, the latest first. Each is shown once, however often the stream begins anew. */
export function events() {
  const [host, list] = [byId("events"), byId("lines")];
  let run = null;
  let last = 0;
  return {
    begin(which) {
      // What was told before is no news.
      host.setAttribute("aria-busy", "true");
      if (which === run) return;
      run = which;
      last = 0;
      list.replaceChildren();
    },
    settled: () => host.setAttribute("aria-busy", "false"),
    add({ number, at, text }) {
      if (number <= last) return;
      last = number;
      const time = el("time", { datetime: new Date(at * 1000).toISOString() }, clock(at));
      const isNews = host.getAttribute("aria-busy") === "false";
      const line = el("li", { class: isNews ? "new" : null }, time, el("span", { class: "told" }, text));
      list.prepend(line);
      while (list.childElementCount > MOST_EVENTS) list.lastElementChild.remove();
    },
  };
}

export function conditions() {
  const host = byId("conditions");
  const shown = new Map();
  return {
    show(state) {
      const types = state.conditions.map((it) => it.type);
      if (types.join() !== [...shown.keys()].join()) {
        shown.clear();
        for (const type of types) shown.set(type, el("dd", {}));
        host.replaceChildren(...[...shown].flatMap(([type, text]) => [el("dt", {}, type), text]));
      }
      for (const { type, status, reason, message } of state.conditions) {
        say(shown.get(type), `${status}, ${reason}${message ? `: ${message}` : ""}`);
      }
    },
  };
}
