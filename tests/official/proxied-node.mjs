// Plays in Node what a page does: `node proxied-node.mjs <installation> <use> <settings>`.

import { createRequire } from "node:module";
import { play } from "./proxied.mjs";

const [installation, use, settings] = process.argv.slice(2);
const { createFalClient } = createRequire(`${installation}/`)("@fal-ai/client");
const { proxy, bearer, input, picture } = JSON.parse(settings);
const outcome = await play(createFalClient, use, {
  proxyUrl: { url: proxy, when: "always" },
  bearer,
  input,
  picture: picture && new Blob([Buffer.from(picture, "base64")], { type: "image/png" }),
});
console.log(JSON.stringify(outcome));
