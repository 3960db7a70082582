// Makes and changes elements. Text stays text: nothing that a cluster says becomes markup.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** An element of HTML. Attributes that are null are left out, and so are children. */
export const el = (tag, attributes, ...children) =>
  filled(document.createElement(tag), attributes, children);

/** An element of SVG. */
export const svg = (tag, attributes, ...children) =>
  filled(document.createElementNS(SVG, tag), attributes, children);

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Sets a text, if it is another one: what has not changed is not told to those who listen to the page. */
export function say(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** Sets an attribute, if it is another one. */
export function set(node, name, value) {
  if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

/** Makes the children of `host` those nodes, and moves none that is in its place: a selection in it stays. */
export function arrange(host, nodes) {
  for (const child of [...host.childNodes]) {
    if (!nodes.includes(child)) child.remove();
  }
  nodes.forEach((node, at) => {
    if (host.childNodes[at] !== node) host.insertBefore(node, host.childNodes[at] ?? null);
  });
}

/** Makes the children of `host` look like `fresh`, and leaves alone what does already: a selection in it stays. */
export function renew(host, fresh) {
  const old = [...host.childNodes];
  fresh.forEach((node, at) => (old[at] ? become(old[at], node) : host.append(node)));
  old.slice(fresh.length).forEach((node) => node.remove());
}

function become(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeName !== fresh.nodeName) {
    old.replaceWith(fresh);
  } else if (old.nodeType === Node.TEXT_NODE) {
    old.data = fresh.data;
  } else {
    for (const name of old.getAttributeNames()) {
      if (!fresh.hasAttribute(name)) old.removeAttribute(name);
    }
    for (const name of fresh.getAttributeNames()) {
      // The policy of the page forbids styles that come as a text.
      if (name === "style") old.style.cssText = fresh.style.cssText;
      else set(old, name, fresh.getAttribute(name));
    }
    renew(old, [...fresh.childNodes]);
  }
}

/** A bar that is filled in part, from 0 to 1; for eyes only, since the number stands beside it. */
export function bar(...kinds) {
  const fills = kinds.map((kind) => el("i", { class: kind }));
  const node = el("span", { class: "bar", "aria-hidden": "true" }, ...fills);
  const fill = (parts) =>
    fills.forEach((one, at) => {
      const part = Math.min(1, Math.max(0, parts[at] || 0));
      one.style.width = `${(part * 100).toFixed(1)}%`;
    });
  return { node, fill };
}
