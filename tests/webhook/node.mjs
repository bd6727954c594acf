// Signs and verifies deliveries with Node's own crypto, by fal's published description alone.
//
//   node.mjs verify JWKS DELIVERY   prints true or false
//   node.mjs sign SECONDS BODY      prints a JWKS and a delivery, as JSON
//
// A delivery is { "headers": {...}, "body": "base64" }.

import { createHash, generateKeyPairSync, createPublicKey, sign, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const message = (headers, body) =>
  Buffer.from(
    [
      headers["x-fal-webhook-request-id"],
      headers["x-fal-webhook-user-id"],
      headers["x-fal-webhook-timestamp"],
      createHash("sha256").update(body).digest("hex"),
    ].join("\n"),
    "utf8",
  );

const [command, ...rest] = process.argv.slice(2);
if (command === "verify") {
  const [jwks, { headers, body }] = rest.map((path) => JSON.parse(readFileSync(path, "utf8")));
  const signature = Buffer.from(headers["x-fal-webhook-signature"], "hex");
  const text = message(headers, Buffer.from(body, "base64"));
  const fits = (key) =>
    verify(null, text, createPublicKey({ key, format: "jwk" }), signature);
  console.log(jwks.keys.some(fits));
} else if (command === "sign") {
  const [seconds, body] = rest;
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const headers = {
    "x-fal-webhook-request-id": JSON.parse(body).request_id,
    "x-fal-webhook-user-id": "github|4711",
    "x-fal-webhook-timestamp": seconds,
  };
  headers["x-fal-webhook-signature"] = sign(
    null,
    message(headers, Buffer.from(body, "utf8")),
    privateKey,
  ).toString("hex");
  console.log(JSON.stringify({ jwks: { keys: [publicKey.export({ format: "jwk" })] }, headers }));
} else {
  process.exitCode = 2;
}
