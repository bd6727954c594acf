// A page in a real browser, which uses fal's own JavaScript client through a proxy:
// `node browser.mjs <installation> <chromium>`.
//
// It serves the page itself and says where: `{"page": origin}`. It then reads a line of settings
// from stdin and prints what became of each use, and everything that went over the browser's wire.

import { createRequire } from "node:module";
import { createServer, request as forward } from "node:http";
import { createInterface } from "node:readline";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const [installation, executablePath] = process.argv.slice(2);
const require = createRequire(`${installation}/`);
const { build } = require("esbuild");
const { chromium } = require("playwright-core");

const bundle = await build({
  stdin: {
    contents: `
      import { createFalClient } from "@fal-ai/client";
      import { play } from "./proxied.mjs";
      window.play = (use, settings) => play(createFalClient, use, settings);
    `,
    resolveDir: dirname(fileURLToPath(import.meta.url)),
  },
  nodePaths: [join(installation, "node_modules")],
  bundle: true,
  write: false,
  platform: "browser",
});
const script = bundle.outputFiles[0].text;

// The page's own server: it passes the proxy's paths on, so that the page has it on its own origin.
let proxy;
const server = createServer((incoming, outgoing) => {
  if (incoming.url.startsWith("/api/fal/")) {
    const { method, url, headers } = incoming;
    const passed = forward(`${proxy}${url}`, { method, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode, answer.headers);
      answer.pipe(outgoing);
    });
    incoming.pipe(passed);
    return;
  }
  const isScript = incoming.url === "/script.js";
  outgoing.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
  outgoing.end(isScript ? script : `<!doctype html><title>a page</title><script src="/script.js"></script>`);
});
await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
const origin = `http://127.0.0.1:${server.address().port}`;
console.log(JSON.stringify({ page: origin }));

const [line] = await new Promise((read) => {
  createInterface({ input: process.stdin }).once("line", (text) => read([text]));
});
const settings = JSON.parse(line);
proxy = settings.proxy;

const browser = await chromium.launch({
  executablePath,
  args: ["--disable-gpu", "--disable-dev-shm-usage", ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});
const page = await browser.newPage();
const seen = [];
page.on("requestfinished", (request) => seen.push(tell(request)));
page.on("requestfailed", (request) => seen.push(tell(request)));

/** Everything of a request and of its answer that the browser had. */
async function tell(request) {
  const response = await request.response();
  const told = {
    request: `${request.method()} ${request.url()}`,
    request_headers: await request.allHeaders(),
    request_body: request.postData() ?? "",
  };
  if (!response) return { ...told, failure: request.failure()?.errorText };
  const body = await response.body().catch(() => Buffer.from(""));
  return {
    ...told,
    status: response.status(),
    headers: await response.allHeaders(),
    body: body.toString("latin1"),
  };
}

const inPage = (use, from) =>
  page.evaluate(
    async ([use, { picture, ...from }]) => {
      const bytes = Uint8Array.from(atob(picture), (letter) => letter.charCodeAt(0));
      return window.play(use, { ...from, picture: new Blob([bytes], { type: "image/png" }) });
    },
    [use, { input: settings.input, picture: settings.picture, ...from }],
  );

await page.goto(`${origin}/`);
const outcome = {};

// From another origin, with the token as bearer.
const across = { proxyUrl: `${proxy}/api/fal/proxy`, bearer: settings.token };
for (const use of settings.uses) outcome[use] = await inPage(use, across);
outcome.unknown_caller = await inPage("polling", { ...across, bearer: "a-wrong-token-0123456789" });

// The picture is one that a page can show.
outcome.shown = await page.evaluate(async (url) => {
  const image = new Image();
  image.src = url;
  await image.decode();
  return [image.naturalWidth, image.naturalHeight];
}, outcome.upload.value.data.images[0].url);

// On the page's own origin, with a session, which the page's script cannot read.
const within = { proxyUrl: "/api/fal/proxy" };
outcome.before_the_session = await inPage("polling", within);
outcome.session = await page.evaluate(async (token) => {
  const headers = { authorization: `Bearer ${token}` };
  const { status } = await fetch("/api/fal/session", { method: "POST", headers });
  return [status, document.cookie];
}, settings.token);
outcome.with_the_session = await inPage("streaming", within);

const told = await Promise.all(seen);
page.removeAllListeners();
await browser.close();
server.close();
process.stdout.write(`${JSON.stringify({ outcome, seen: told })}\n`, () => process.exit(0));
