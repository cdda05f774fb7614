// Code that the scripts share: the browser, a signed-in person, and faults that are collected and reported at the end.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

/** What the test says of its cluster. */
export const asked = JSON.parse(readFileSync(0, "utf8"));
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** The rules that hold: those of WCAG 2.2, levels A and AA, and of the versions before. */
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"];

/** What is wrong, each once. */
const faults = new Set();
export const fault = (text) => faults.add(text);
/** What was found, which is then forgotten. */
export function take() {
  const found = [...faults];
  faults.clear();
  return found;
}

/** Starts the browser for a script, and ends the process with what it found. */
export async function run(script) {
  const browser = await chromium.launch({
    executablePath: process.env.VIGIE_CHROMIUM,
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  try {
    await script(browser);
  } finally {
    await browser.close();
  }
  for (const text of faults) console.log(`FAULT ${text}`);
  process.exitCode = faults.size ? 1 : 0;
}

/** Opens a page of a new person, and watches it: errors, requests elsewhere, dialogs. */
export async function visitor(browser, options = {}) {
  const context = await browser.newContext({ baseURL: asked.origin, locale: "en-GB", ...options });
  context.setDefaultTimeout(10_000);
  const page = await context.newPage();
  const where = () => page.url().replace(asked.origin, "");
  page.on("console", (message) => {
    // The browser itself notes an answer that is no success, such as that to a form with a fault.
    const isStatus = message.text().startsWith("Failed to load resource: the server responded with a status of 4");
    if (["error", "warning"].includes(message.type()) && !isStatus) fault(`${where()}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => fault(`${where()}: error: ${error.message}`));
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(`${asked.origin}/`) && !url.startsWith("blob:")) fault(`${where()}: request to ${url.slice(0, 200)}`);
  });
  return page;
}

/** Signs a person in by a key. */
export async function signIn(page, key) {
  await page.goto("/console/sign-in");
  await page.getByLabel("API key").fill(key);
  await page.locator("main button[type=submit]").click();
  await page.waitForURL("**/console/");
}

/** Somebody who is signed in. */
export async function person(browser, key, options = {}) {
  const page = await visitor(browser, options);
  await signIn(page, key);
  return page;
}

/** Looks for barriers in a page as it is shown: by all rules, or by those alone that are named. */
export async function barriers(page, view, rules) {
  // Through the debugger's channel: the page's own policy refuses scripts from elsewhere.
  await page.evaluate(`if (!window.axe) { ${axe} }`);
  const runOnly = rules ? { type: "rule", values: rules } : { type: "tag", values: TAGS };
  const violations = await page.evaluate(async (runOnly) => {
    const { violations } = await window.axe.run(document, { runOnly, resultTypes: ["violations"] });
    return violations.map(({ id, help, nodes }) => {
      const what = nodes.slice(0, 3).map((node) => `${node.target.join(" ")} (${node.failureSummary.replace(/\s+/g, " ").slice(0, 160)})`);
      return `${id}: ${help}: ${nodes.length} of ${what.join("; ")}`;
    });
  }, runOnly);
  return violations.map((violation) => `${view}: ${violation}`);
}

/** A path as a kind of page: numbers, digests and names of things are left out, so that one of each kind is looked at. Of a query the names stay,
 *  and the kind of things that a tab is of. */
export const kind = (path) => {
  const { pathname, searchParams } = new URL(path, asked.origin);
  const part = (part, at) => (at > 2 && /\d|%|^(known|shadow|theirs|common|acme|umbra|local|stop)$/.test(part) ? "*" : part);
  const asks = [...searchParams].map(([name, value]) => (name === "kind" ? `${name}=${value}` : name));
  return pathname.split("/").map(part).join("/") + (asks.length ? `?${asks.sort().join("&")}` : "");
};

/** The links of a page within the console that are no download. */
export const links = (page) =>
  page.evaluate(() =>
    [...document.querySelectorAll("a[href]:not([download])")]
      .map((link) => new URL(link.getAttribute("href"), document.baseURI))
      .filter((url) => url.origin === location.origin && url.pathname.startsWith("/console"))
      .map((url) => url.pathname + url.search),
  );
