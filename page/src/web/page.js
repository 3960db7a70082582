// The page: what the stream tells goes to each of its parts.

import { byId, say, set } from "./dom.js";
import { curve } from "./curve.js";
import { glance } from "./glance.js";
import { conditions, events, keys } from "./lists.js";
import { minutes } from "./minutes.js";
import { nodes } from "./nodes.js";
import { keep } from "./palette.js";
import { ring } from "./ring.js";
import { follow } from "./stream.js";
import { work } from "./work.js";

/** The version of the looks that this page understands. */
const VERSION = 1;
const STANDINGS = {
  opening: "Connecting…",
  live: "Live",
  stale: "No news",
  lost: "Disconnected, trying again…",
  paused: "Paused",
};
const WHY_LOST =
  "Nobody answers: the program that shows this page has ended, or as many look at it as may. What you see is what was last known.";

let picked = null;
let last = null;

const told = events();
const parts = [glance(), ring(), curve(), work(), minutes(), nodes(pick), keys(), conditions()];
const [theRing, theNodes] = [parts[1], parts[5]];

/** Shows a node in the ring, or no longer. */
function pick(name) {
  picked = name === picked ? null : name;
  theRing.show(last, picked);
  theNodes.show(last, picked);
}

function notice(text) {
  const node = byId("notice");
  say(node, text ?? "");
  node.hidden = !text;
}

function state(look) {
  if (look.version !== VERSION) {
    notice("This page is of another version than the program that it looks at: load it again.");
    return;
  }
  notice(look.trouble ?? null);
  if (!look.trouble) {
    last = look;
    keep(look.nodes.map((node) => node.name));
    if (!look.nodes.some((node) => node.name === picked)) picked = null;
    parts.forEach((part) => part.show(look, picked));
  }
  told.settled();
}

function standing(word) {
  const node = byId("standing");
  set(node, "data-is", word);
  say(node, STANDINGS[word]);
  if (word === "lost") notice(WHY_LOST);
}

const stream = follow({ begin: told.begin, log: told.add, state, standing });

byId("pause").addEventListener("click", (event) => {
  const button = event.currentTarget;
  const isPaused = button.getAttribute("aria-pressed") !== "true";
  set(button, "aria-pressed", String(isPaused));
  stream.pause(isPaused);
});
