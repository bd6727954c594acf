// Visits the page of a running emulator in a real browser:
// `node emulator.mjs <installation> <chromium> <origin> [<folder for screenshots>]`.
// Prints what was seen as one line of JSON.

import { createRequire } from "node:module";
import { join } from "node:path";

const [installation, executablePath, origin, shots] = process.argv.slice(2);
const { chromium } = createRequire(`${installation}/`)("playwright-core");

const browser = await chromium.launch({
  executablePath,
  args: ["--disable-gpu", "--disable-dev-shm-usage", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});
const seen = { requests: [], errors: [], dialogs: 0, visits: {} };
const tables = ["jobs", "requests", "ledger", "webhooks"];

for (const width of [1280, 360]) {
  for (const scheme of ["light", "dark"]) {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: scheme });
    page.on("request", (request) => seen.requests.push(request.url()));
    page.on("console", (message) => message.type() === "error" && seen.errors.push(message.text()));
    page.on("pageerror", (error) => seen.errors.push(String(error)));
    page.on("dialog", (dialog) => { seen.dialogs += 1; dialog.dismiss(); });
    await page.goto(`${origin}/emulator`, { waitUntil: "load" });
    await page.waitForSelector("html[data-ready=yes]");
    const visit = { tables: {} };
    seen.visits[`${width}-${scheme}`] = visit;

    // From tab to tab by the keyboard alone.
    await page.locator("#tab-jobs").focus();
    for (const table of tables) {
      if (table !== "jobs") await page.keyboard.press("ArrowRight");
      const tab = page.locator(`#tab-${table}[aria-selected=true]`);
      await tab.waitFor();
      await page.waitForFunction(() => document.querySelectorAll("tbody tr").length > 0);
      // Also those that are out of sight, which load when they come into it.
      await page.evaluate(() => { for (const image of document.images) image.loading = "eager"; });
      await page.waitForFunction(() => [...document.images].every((image) => image.complete));
      visit.tables[table] = await page.evaluate(() => ({
        focus: document.activeElement.id,
        outline: getComputedStyle(document.activeElement).outlineStyle,
        rows: [...document.querySelectorAll("tbody tr")].map((row) => row.textContent),
        heads: [...document.querySelectorAll("th")].map((head) => head.textContent),
        images: [...document.images].filter((image) => image.naturalWidth > 0).length,
        broken: [...document.images].filter((image) => image.naturalWidth === 0).length,
        foreign: document.querySelectorAll("tbody script, tbody iframe, tbody b").length,
        overflow: document.documentElement.scrollWidth > document.documentElement.clientWidth,
      }));
      if (shots) await page.screenshot({ path: join(shots, `emulator-${table}-${width}-${scheme}.png`), fullPage: true });
    }
    visit.sums = await page.locator("#sums").textContent();
    visit.hacked = await page.evaluate(() => window.hacked === true);
    visit.background = await page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);

    // The filter hides the rows without its words.
    await page.locator("#tab-jobs").click();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length > 0);
    await page.locator("#filter").fill("no such row");
    visit.found = await page.locator("tbody tr:not([hidden])").count();
    visit.empty = await page.locator("#empty").textContent();
    await page.locator("#filter").fill("");

    // An opened row stays open, and a new job appears by itself.
    await page.locator("tbody summary").last().click();
    const before = await page.locator("tbody tr").count();
    const input = { prompt: `job of ${width} ${scheme}`, input_image_urls: ["https://example.org/a.png"] };
    await fetch(`${origin}/queue/fal-ai/uso`, {
      method: "POST",
      headers: { authorization: "Key test-id:test-secret", "content-type": "application/json" },
      body: JSON.stringify(input),
    });
    await page.waitForFunction((before) => document.querySelectorAll("tbody tr").length > before, before);
    visit.first = await page.locator("tbody tr").first().textContent();
    visit.open = await page.locator("tbody details[open]").count();
    await page.close();
  }
}

await browser.close();
console.log(JSON.stringify(seen));
