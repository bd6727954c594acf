// Opens the report of a batch in a real browser, from the disk, and uses it:
// `node report.mjs <installation> <chromium> <page> [<folder for screenshots>]`.
// Prints what was seen as one line of JSON.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [installation, executablePath, file, shots] = process.argv.slice(2);
const { chromium } = createRequire(`${installation}/`)("playwright-core");

const browser = await chromium.launch({
  executablePath,
  args: ["--disable-gpu", "--disable-dev-shm-usage", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});
const seen = { requests: [], failures: [], violations: [], dialogs: 0, widths: {} };
const url = pathToFileURL(file).href;

for (const [width, scheme] of [[1280, "light"], [360, "dark"]]) {
  const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: scheme });
  page.on("request", (request) => seen.requests.push(request.url()));
  page.on("requestfailed", (request) => seen.failures.push(request.url()));
  page.on("console", (message) => message.type() === "error" && seen.violations.push(message.text()));
  page.on("pageerror", (error) => seen.violations.push(String(error)));
  page.on("dialog", (dialog) => { seen.dialogs += 1; dialog.dismiss(); });
  await page.goto(url, { waitUntil: "load" });
  await page.waitForSelector("html[data-ready=yes]");
  // Until a click on a filter has an effect that was painted.
  const interactive = await page.evaluate(() => new Promise((done) => {
    document.querySelector("#filters button").click();
    requestAnimationFrame(() => setTimeout(() => done(performance.now())));
  }));
  await page.waitForTimeout(300);
  if (shots) await page.screenshot({ path: join(shots, `report-${width}.png`) });
  const state = await page.evaluate(() => ({
    overflow: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    hacked: window.hacked === true,
    background: getComputedStyle(document.body).backgroundColor,
    chips: [...document.querySelectorAll("#filters button")].map((chip) => chip.textContent),
    groups: [...document.querySelectorAll(".group")].map((group) => group.textContent),
    money: document.querySelector("#money").textContent,
    cards: document.querySelectorAll(".card").length,
    texts: [...document.querySelectorAll(".card")].slice(0, 20).map((card) => card.textContent),
    foreign: document.querySelectorAll("#rows script, #rows iframe, #rows a").length,
    compares: document.querySelectorAll(".compare").length,
    broken: [...document.images].filter((image) => image.complete && !image.naturalWidth).length,
  }));
  seen.widths[width] = { interactive, ...state };
  if (state.compares) {
    const slider = page.locator(".compare input").first();
    await slider.focus();
    await page.keyboard.press("Home");
    seen.widths[width].cut = await page.evaluate(() =>
      document.querySelector(".compare").style.getPropertyValue("--cut"));
    await page.locator(".card:has(.compare) .under button").first().click();
    const first = await page.locator("#large-title").textContent();
    await page.locator("#close").focus();
    await page.keyboard.press("ArrowRight");
    const second = await page.locator("#large-title").textContent();
    await page.waitForTimeout(300);
    if (shots) await page.screenshot({ path: join(shots, `large-${width}.png`) });
    await page.keyboard.press("Escape");
    seen.widths[width].opened = [first, second, await page.locator("#large").evaluate((box) => box.open)];
  }
  await page.locator("#search").fill("no such row");
  seen.widths[width].found = await page.locator(".card:not([hidden])").count();
  await page.close();
}
await browser.close();
console.log(JSON.stringify(seen));
