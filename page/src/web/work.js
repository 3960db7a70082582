// What is being done, how far it has got, and what sizes the cluster.

import { byId, el, renew } from "./dom.js";
import { count, nodes, percent } from "./words.js";

const NAMES = {
  Create: "Making the ring",
  ScaleOut: "Scaling out",
  ScaleIn: "Scaling in",
  Roll: "Replacing nodes",
  Replace: "Replacing nodes that were told to end",
  Repair: "Repairing",
  Restore: "Writing the ring again",
  Converge: "Moving slots",
  TidyUp: "Tidying up",
  Delete: "Deleting",
};

/** What a node does in it; null = it just goes on. */
function line({ name, state, slots, slotsWanted, trouble }) {
  const said = {
    Starting: trouble ?? "starts",
    Joining: `joins: ${count(slots)} of ${count(slotsWanted)} slots are there`,
    Leaving: `leaves: ${count(slots)} slots are still there`,
    Stopping: "ends",
    Silent: "does not answer",
    Gone: "has ended",
    Spare: "is ready to take part",
  }[state];
  return said ? el("li", {}, `${name} ${said}`) : null;
}

function operation({ reported, stalled, slotsToGo, slotsAtMost }, nodes) {
  const done = slotsAtMost - slotsToGo;
  const moved = `${count(done)} of ${count(slotsAtMost)} slots moved`;
  const bar = el("progress", { max: slotsAtMost || 1, "aria-label": "Slots moved" });
  if (slotsAtMost > 0) bar.value = done;
  const moves = [bar, el("p", { class: "small" }, slotsAtMost > 0 ? moved : "No slot moves yet.")];
  const lines = nodes.map(line).filter((one) => one !== null);
  return [
    el("p", { class: "what" }, NAMES[reported.type] ?? reported.type, stalled ? ": waits for you" : ""),
    el("p", {}, reported.message),
    ...(stalled ? [] : moves),
    lines.length ? el("ul", { class: "lines" }, ...lines) : null,
  ];
}

function scaling(it) {
  const { status, active, reason, message } = it;
  const wanted = status?.wantedNodes ? `, the targets ask for ${count(status.wantedNodes)}` : "";
  const inForce = status ? `${nodes(status.nodes)} in force${wanted}. ` : "";
  const step = status?.lastStep;
  const measured = step?.measuredHitPercent ? `${step.measuredHitPercent} % measured` : "not measured yet";
  const last = step
    ? `Last step: from ${step.fromNodes} to ${nodes(step.toNodes)}, ${step.predictedHitPercent} % hits predicted, ${measured}.`
    : null;
  const is = el("strong", { class: active ? "is good" : "is warn" }, reason);
  return el(
    "div",
    { class: "scaling" },
    el("p", {}, "Autoscaling: ", is, `. ${inForce}${message}`),
    last ? el("p", { class: "small" }, last) : null,
    it.targets?.hitRatioPercent
      ? el("p", { class: "small" }, `Target: ${percent(it.targets.hitRatioPercent / 100)} hits.`)
      : null,
  );
}

export function work() {
  const host = byId("work");
  return {
    show(state) {
      const calm = el("p", { class: "calm" }, "Nothing is being done now.");
      const parts = state.operation ? operation(state.operation, state.nodes) : [calm];
      const sized = state.autoscaling ? scaling(state.autoscaling) : null;
      renew(host, [...parts, sized].filter((part) => part !== null));
    },
  };
}
