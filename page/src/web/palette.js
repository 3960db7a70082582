// Which node has which colour. It keeps it for as long as it is there; a newcomer gets one that nobody has.

const COLOURS = 8;
const taken = new Map();

/** To be called with the names of all nodes, before anything is drawn. */
export function keep(names) {
  for (const name of taken.keys()) {
    if (!names.includes(name)) taken.delete(name);
  }
  for (const name of names) {
    if (taken.has(name)) continue;
    const uses = (colour) => [...taken.values()].filter((other) => other === colour).length;
    const all = Array.from({ length: COLOURS }, (_, colour) => colour);
    taken.set(name, all.reduce((best, colour) => (uses(colour) < uses(best) ? colour : best)));
  }
}

/** The class of a node's colour; of nobody, another one. */
export const colour = (name) => (taken.has(name) ? `n${taken.get(name)}` : "nobody");
