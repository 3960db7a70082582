// Looks at the page of a cluster in a real browser. Says each stage when it is over, so that whoever runs this can change the cluster.
//
//   node page.cjs URL EVIL_KEY [FOLDER]
//
// FOLDER is where pictures of the page go; without one there are none.
"use strict";

const assert = require("node:assert");
const path = require("node:path");
const { chromium } = require("playwright-core");

const [url, evilKey, folder] = process.argv.slice(2);
// Reached only by what never comes: machines are slow.
const LIMIT_MS = 180_000;
const DESKTOP = { width: 1280, height: 900 };
const PHONE = { width: 390, height: 844 };

/** Everything that a browser holds against the page. */
function watch(page) {
  const found = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) found.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => found.push(`error: ${error.stack}`));
  page.on("request", (request) => {
    const asked = request.url();
    if (!asked.startsWith(url) && asked !== "data:,") found.push(`from elsewhere: ${asked}`);
  });
  return found;
}

async function open(browser, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(LIMIT_MS);
  const found = watch(page);
  await page.goto(url);
  await standing(page, "live");
  return { page, found };
}

const standing = (page, word) => page.waitForSelector(`#standing[data-is=${word}]`);

const text = (page, selector) => page.locator(selector).first().textContent();

/** Waits until the page says so: `probe` runs in it, and is given `argument`. */
const until = (page, probe, argument) => page.waitForFunction(probe, argument);

const isActive = (name) => {
  const node = document.querySelector(`#nodes tr[data-node="${name}"]`);
  return node?.querySelector(".is")?.textContent === "Active";
};

/** What stands on the page of a cluster of one node under load. */
async function looks(page) {
  await until(page, isActive, "web-0");
  assert.equal(await text(page, "h1"), "web");
  assert.equal(await page.title(), "web · Ringcache");
  for (const heading of ["Ring", "Nodes", "Events", "Hot keys", "Under way", "Last minutes"]) {
    await page.getByRole("heading", { name: heading, exact: true }).waitFor();
  }
  for (const role of ["banner", "main", "contentinfo", "log"]) {
    assert.equal(await page.getByRole(role).count(), 1, role);
  }
  await page.getByRole("table", { name: "Nodes" }).waitFor();
  await page.getByRole("img", { name: /Ring at epoch \d+: web-0 about 16,384 slots/ }).waitFor();
  // The load reads, and the nodes have measured it.
  await until(page, () => [...document.querySelectorAll(".tile .value")].every((tile) => tile.textContent !== "–"));
  await page.locator("#curve .here").waitFor();
  assert.match(await text(page, "#curve .here-text"), /^here: \d+\.\d % measured$/);
  assert.match(await text(page, "#neighbours"), /You are here: 1 node, [\d,.]+ reads a second, measured \d+\.\d %( hits|, the curve says \d+\.\d % once it is warm)\./);
  assert.match(await text(page, "#neighbours"), /One node more \(2\): \d+\.\d % hits predicted/);
  await until(page, (name) => {
    const cells = [...document.querySelectorAll(`#nodes tr[data-node="${name}"] td`)];
    const of = (label) => cells.find((cell) => cell.dataset.label.startsWith(label))?.textContent ?? "";
    return /^\d.* · .* · .*s$/.test(of("Reads within")) && /MiB of 64 MiB/.test(of("Memory"));
  }, "web-0");
  await until(page, () => document.querySelectorAll("#minutes path.reads[d^=M]").length === 1);
  await until(page, () => document.querySelector("#lines")?.textContent.includes("web-0 started"));
  assert.equal(await page.locator("#events").getAttribute("aria-busy"), "false");
}

/** A key that would like to be markup is a key. */
async function keysAreTexts(page) {
  await until(page, (key) => {
    return [...document.querySelectorAll("#keys .key")].some((shown) => shown.textContent === key);
  }, evilKey);
  assert.equal(await page.locator("img, iframe, object").count(), 0);
  assert.equal(await page.title(), "web · Ringcache", "its code has run");
  // It can be copied: looks that come meanwhile leave it alone.
  await page.evaluate((key) => {
    const all = [...document.querySelectorAll("#keys .key")];
    getSelection().selectAllChildren(all.find((shown) => shown.textContent === key));
  }, evilKey);
  await page.waitForTimeout(3000);
  assert.equal(await page.evaluate(() => getSelection().toString()), evilKey);
  await page.evaluate(() => getSelection().removeAllRanges());
}

/** The second node comes, its event is told, and the ring has two colours; nobody has loaded the page anew. */
async function scales(page) {
  // The mark of it first: it moves out of the picture.
  await until(page, () => {
    return [...document.querySelectorAll("#minutes .step-text")].some((mark) => mark.textContent === "2 nodes");
  });
  await until(page, isActive, "web-1");
  await until(page, () => document.querySelector("#lines").textContent.includes("ScaleOut"));
  await page.getByRole("img", { name: /web-0 about 8,192 slots, web-1 about 8,192 slots/ }).waitFor();
  await until(page, () => document.querySelector("#glance .value").textContent === "2");
  await until(page, () => document.querySelector("#neighbours").textContent.includes("You are here: 2 nodes"));
  const colours = await page.$$eval("#ring circle.owned:not(.nobody)", (arcs) => [
    ...new Set(arcs.map((arc) => getComputedStyle(arc).stroke)),
  ]);
  assert.equal(colours.length, 2, String(colours));
  assert.equal(await page.evaluate(() => window.isTheSame), true, "the page was loaded anew");
}

/** Everything that can be used is reached and used by keys, and one sees where one is. */
async function byKeyboard(page) {
  const seen = [];
  await page.evaluate(() => document.body.focus());
  for (let presses = 0; presses < 30; presses += 1) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const it = document.activeElement;
      if (it === document.body) return null;
      const { outlineStyle, outlineWidth } = getComputedStyle(it);
      const box = it.getBoundingClientRect();
      const isInside = box.bottom > 0 && box.top < innerHeight && box.width > 0;
      const isMarked = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
      return { name: it.id || it.className || it.tagName, isInside, isMarked };
    });
    if (focused === null) break;
    assert.ok(focused.isInside && focused.isMarked, JSON.stringify(focused));
    seen.push(focused.name);
    if (focused.name === "SUMMARY") break;
  }
  assert.deepEqual(seen, ["skip", "pause", "size", "node", "node", "events", "SUMMARY"]);

  await page.locator("#size").focus();
  await page.keyboard.press("Home");
  await until(page, () => document.querySelector("#tried").textContent.startsWith("1 node:"));
  await page.keyboard.press("ArrowRight");
  await until(page, () => document.querySelector("#tried").textContent.startsWith("2 nodes (now):"));

  await page.getByRole("button", { name: "web-1" }).focus();
  await page.keyboard.press("Enter");
  await page.locator("#ring .picked .owned.is-picked").first().waitFor();
  await page.getByRole("button", { name: "web-1", pressed: true }).press("Enter");
  await until(page, () => !document.querySelector("#ring .picked"));

  await page.getByRole("button", { name: "Pause" }).press("Enter");
  await standing(page, "paused");
  await page.getByRole("button", { name: "Pause", pressed: true }).press("Enter");
  await standing(page, "live");
}

/** Texts that are hard to read on what is behind them. */
const unreadable = () => {
  const numbers = (colour) => {
    if (colour.startsWith("#")) {
      const digits = colour.length === 4 ? colour.slice(1).replace(/./g, "$&$&") : colour.slice(1);
      return [0, 2, 4].map((at) => parseInt(digits.slice(at, at + 2), 16));
    }
    return colour.match(/[\d.]+/g).map(Number);
  };
  const light = (colour) => {
    const [r, g, b] = numbers(colour).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (node) => {
    for (let it = node; it; it = it.parentElement) {
      const colour = getComputedStyle(it).backgroundColor;
      if (numbers(colour)[3] !== 0) return colour;
    }
    return "rgb(255, 255, 255)";
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const own = [...node.childNodes].filter((it) => it.nodeType === 3 && it.textContent.trim());
    const box = node.getBoundingClientRect();
    if (!own.length || box.width < 2 || box.bottom < 0 || node.closest("noscript")) continue;
    const style = getComputedStyle(node);
    const isDrawn = node instanceof SVGElement;
    const ground = node.classList.contains("label") ? style.getPropertyValue("--node").trim() : behind(node);
    const [one, other] = [light(isDrawn ? style.fill : style.color), light(ground)].sort((a, b) => b - a);
    const contrast = (one + 0.05) / (other + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.6 && Number(style.fontWeight) >= 600);
    if (contrast < (isLarge ? 3 : 4.5)) found.push(`${contrast.toFixed(1)}: ${own[0].textContent} ${ground}`);
  }
  return found;
};

async function isReadable(page, scheme) {
  await page.emulateMedia({ colorScheme: scheme });
  assert.deepEqual(await page.evaluate(unreadable), [], scheme);
  const ground = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const isDark = ground.match(/\d+/g).every((part) => Number(part) < 64);
  assert.equal(isDark, scheme === "dark", ground);
}

async function rests(page) {
  const motion = () => getComputedStyle(document.querySelector(".bar i")).transitionDuration;
  assert.notEqual(await page.evaluate(motion), "0s");
  await page.emulateMedia({ reducedMotion: "reduce" });
  assert.equal(await page.evaluate(motion), "0s");
  await page.emulateMedia({ reducedMotion: null });
}

/** Nothing stands beside the screen of a phone. */
async function fitsAPhone(browser) {
  const options = { viewport: PHONE, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
  const { page, found } = await open(browser, options);
  await page.locator("#curve .here").waitFor();
  await until(page, isActive, "web-1");
  for (const scheme of ["light", "dark"]) {
    await isReadable(page, scheme);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= PHONE.width, `${width} pixels`);
    const beside = await page.evaluate((most) => {
      const isShown = (it) => !it.closest("thead, .unseen, .skip");
      const all = [...document.querySelectorAll("body *")].filter(isShown);
      const wide = all.filter((it) => it.getBoundingClientRect().right > most + 0.5);
      return wide.map((it) => `${it.tagName} ${it.className} ${it.textContent.slice(0, 40)}`);
    }, PHONE.width);
    assert.deepEqual(beside, [], scheme);
  }
  await picture(page, "phone", "light", false);
  assert.deepEqual(found, []);
  await page.context().close();
}

/** A picture is to show a cluster that has been read for a while, and by the load alone. */
async function restsForPictures(page) {
  if (!folder) return;
  await until(page, (key) => !document.querySelector("#keys").textContent.includes(key), evilKey);
  await page.waitForTimeout(90_000);
  await page.evaluate(() => {
    // Where the spec is says something of this machine only.
    for (const told of document.querySelectorAll("#lines .told")) {
      if (told.textContent.includes("/")) told.textContent = told.textContent.replace(/\S*\/(?=cluster\.yaml)/, "");
    }
  });
}

async function picture(page, name, scheme, fullPage) {
  if (!folder) return;
  await page.emulateMedia({ colorScheme: scheme, reducedMotion: "reduce" });
  await page.evaluate(() => document.activeElement?.blur());
  await page.screenshot({ path: path.join(folder, `page-${name}.png`), fullPage });
  await page.emulateMedia({ reducedMotion: null });
}

async function run(browser) {
  const { page, found } = await open(browser, { viewport: DESKTOP, colorScheme: "light" });
  await looks(page);
  await keysAreTexts(page);
  await page.evaluate(() => {
    window.isTheSame = true;
  });
  console.log("looked");

  await scales(page);
  await byKeyboard(page);
  await isReadable(page, "light");
  await rests(page);
  await restsForPictures(page);
  await picture(page, "light", "light", true);
  await isReadable(page, "dark");
  await picture(page, "dark", "dark", true);
  await fitsAPhone(browser);
  assert.deepEqual(found, []);
  console.log("scaled");

  await standing(page, "lost");
  assert.match(await text(page, "#notice"), /Nobody answers/);
  console.log("lost");

  await standing(page, "live");
  await until(page, () => document.querySelector("#notice").hidden);
  await until(page, isActive, "web-1");
  await until(page, () => !document.querySelector("#lines").textContent.includes("web-0 started"));
  assert.equal(await page.evaluate(() => window.isTheSame), true, "the page was loaded anew");
  console.log("back");
}

async function main() {
  const browser = await chromium.launch({
    executablePath: process.env.RINGCACHE_CHROMIUM,
    // Chromium's sandbox refuses to be root.
    args: process.getuid() === 0 ? ["--no-sandbox"] : [],
  });
  try {
    await run(browser);
  } finally {
    await browser.close();
  }
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
