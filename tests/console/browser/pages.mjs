// Every page that links lead to: barriers, errors, requests elsewhere, sizes, width, and texts without words, in English and French.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { asked, barriers, fault, kind, links, person, run, take, visitor } from "./console.mjs";

const BYTES_MAX = 200_000;
const WIDE = { width: 1280, height: 900 };
const NARROW = { width: 360, height: 740 };
/** A key of a text where its words should be. */
const KEY = new RegExp(`\\b(?:${asked.texts.join("|")})\\.[a-z_]+(?:\\.[a-z_]+)*\\b`);

/** By night colours alone differ. */
const COLOURS = ["color-contrast", "link-in-text-block"];

if (asked.screenshots) mkdirSync(asked.screenshots, { recursive: true });
const shot = async (page, path, view) => {
  if (!asked.screenshots) return;
  const name = kind(path).replace(/^\/console\/?/, "").replace(/[^a-z-]+/g, "_") || "start";
  await page.screenshot({ path: join(asked.screenshots, `${name}-${view}.png`), fullPage: true });
};

/** Whether it is wider than the screen, and by which elements. */
const overflow = (page) =>
  page.evaluate(() => {
    const root = document.documentElement;
    if (root.scrollWidth <= root.clientWidth) return null;
    const wide = [...document.body.querySelectorAll("*")].filter((one) => one.getBoundingClientRect().right > root.clientWidth + 1);
    const name = (one) => one.tagName.toLowerCase() + [...one.classList].map((name) => `.${name}`).join("");
    return `${root.scrollWidth} pixels: ${wide.slice(-3).map(name).join(", ")}`;
  });

/** Looks at one page in all views. */
async function look(page, path) {
  const answer = await page.goto(path);
  if (!answer.ok()) return fault(`${path}: answers ${answer.status()}`);
  if (!(answer.headers()["content-type"] ?? "").startsWith("text/html")) return;
  const bytes = (await answer.body()).length;
  if (bytes > BYTES_MAX) fault(`${path}: ${bytes} bytes`);
  await words(page, path, "en");
  for (const [view, size, colorScheme, rules] of [["light", WIDE, "light"], ["dark", WIDE, "dark", COLOURS], ["360", NARROW, "light"]]) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    if (size === NARROW) {
      const wide = await overflow(page);
      if (wide) fault(`${path}: wider than 360 pixels: ${wide}`);
    }
    for (const violation of await barriers(page, view, rules)) fault(`${path}: ${violation}`);
    await shot(page, path, view);
  }
  await page.setViewportSize(WIDE);
}

/** The language of a page, and whether all of its texts have words. */
async function words(page, path, language) {
  const { lang, text } = await page.evaluate(() => ({
    lang: document.documentElement.lang,
    text: `${document.title} ${document.body.innerText} ${[...document.querySelectorAll("[title],[aria-label],[placeholder]")]
      .map((one) => `${one.title} ${one.ariaLabel ?? ""} ${one.getAttribute("placeholder") ?? ""}`)
      .join(" ")}`,
  }));
  if (lang !== language) fault(`${path}: its language is ${lang}, not ${language}`);
  const key = text.match(KEY);
  if (key) fault(`${path} (${language}): the text ${key[0]} has no words`);
  const hole = text.match(/\{[a-z_]+\}/);
  if (hole) fault(`${path} (${language}): nothing is filled into ${hole[0]}`);
}

/** Whether what looks for faults finds them: a field without a label, pale text, an error, a request elsewhere. */
async function tryTheWatch(browser) {
  const page = await visitor(browser);
  await page.goto("/console/sign-in");
  await page.evaluate(() => {
    document.querySelector("main").insertAdjacentHTML("beforeend", '<input id="unlabelled"><p id="wide">pale</p>');
    const { style } = document.querySelector("#wide");
    Object.assign(style, { color: "#bbb", background: "#fff", width: "3000px", maxWidth: "none" });
    console.error("watched");
    fetch("https://elsewhere.invalid/").catch(() => {});
  });
  const found = await barriers(page, "");
  const wide = await overflow(page);
  const seen = take();
  for (const [what, is] of [
    ["a field without a label", found.some((one) => one.includes("unlabelled"))],
    ["pale text", found.some((one) => one.includes("color-contrast"))],
    ["a page that is too wide", wide?.includes("p")],
    ["an error", seen.some((one) => one.includes("watched"))],
    ["a request elsewhere", seen.some((one) => one.includes("elsewhere.invalid"))],
  ]) {
    if (!is) fault(`the watch does not see ${what}: ${[...found, ...seen].join("; ")}`);
  }
  await page.context().close();
}

await run(async (browser) => {
  await tryTheWatch(browser);

  // Whoever is not signed in comes to one page alone.
  const stranger = await visitor(browser);
  await look(stranger, "/console/sign-in");

  // One page of each kind, by several people at once, each in a browser of its own.
  const seen = new Set();
  const waiting = ["/console/", ...asked.special];
  const looked = [];
  let busy = 0;
  const enter = (paths) => {
    for (const path of paths) {
      const name = kind(path);
      if (seen.has(name) || /\/sign-(in|out)/.test(path)) continue;
      seen.add(name);
      waiting.push(path);
    }
  };
  seen.add(kind("/console/"));
  const worker = async () => {
    const page = await person(browser, asked.key);
    while (waiting.length || busy) {
      const path = waiting.shift();
      if (!path) {
        await new Promise((done) => setTimeout(done, 50));
        continue;
      }
      busy += 1;
      try {
        await look(page, path);
        enter(await links(page));
        looked.push(path);
      } catch (error) {
        fault(`${path}: ${error.message}`);
      }
      busy -= 1;
    }
    return page;
  };
  const [page] = await Promise.all([worker(), worker()]);

  // The same in French.
  await page.goto("/console/");
  await page.locator("header button[lang=fr]").click();
  await page.waitForFunction(() => document.documentElement.lang === "fr");
  for (const path of looked) {
    const answer = await page.goto(path);
    if ((answer?.headers()["content-type"] ?? "").startsWith("text/html")) await words(page, path, "fr");
  }
  console.log(`${looked.length} pages: ${looked.sort().join(" ")}`);
});
