// One use of fal's own JavaScript client, unmodified: `node client.mjs <installation> <use> <input>`.
//
// The client has no setting for hosts; its request middleware sends each of fal's hosts to the
// address in a variable, two of which the Python client reads, too. Every line on stdout is JSON:
// `{"skip": seconds}` asks for time to pass at the service and waits for a line on stdin, the last
// one holds the outcome.

import { createRequire } from "node:module";
import { readSync, writeSync } from "node:fs";

const [installation, use, input] = process.argv.slice(2);
const { createFalClient } = createRequire(`${installation}/`)("@fal-ai/client");
const endpoint = "fal-ai/uso";

const hosts = {
  "fal.run": process.env.FAL_RUN_HOST,
  "queue.fal.run": process.env.FAL_QUEUE_RUN_HOST,
  "rest.fal.ai": process.env.FAL_REST_HOST,
};
const fal = createFalClient({
  requestMiddleware: async (request) => {
    const { host, pathname, search } = new URL(request.url);
    if (!hosts[host]) throw new Error(`no address for ${host}`);
    return { ...request, url: `https://${hosts[host]}${pathname}${search}` };
  },
});

function say(line) {
  writeSync(1, `${JSON.stringify(line)}\n`);
}

function skip(seconds) {
  say({ skip: seconds });
  readSync(0, Buffer.alloc(1));
}

/** What a call came to, be it an error of the client. Any other error ends the program. */
async function ending(call) {
  try {
    return { value: await call };
  } catch (error) {
    if (!["ApiError", "ValidationError"].includes(error.name)) throw error;
    const { name, status, body, requestId, isUserTimeout } = error;
    return { error: { name, status, body, request_id: requestId, user_timeout: isUserTimeout } };
  }
}

async function subscribe(mode) {
  const updates = [];
  const options = {
    input: JSON.parse(input),
    logs: true,
    mode,
    pollInterval: 50,
    onQueueUpdate(update) {
      const first = !updates.some(({ status }) => status === update.status);
      // The client goes on changing what it handed out.
      updates.push(structuredClone(update));
      if (first && update.status === "IN_PROGRESS") skip(600);
    },
  };
  return { ...(await ending(fal.subscribe(endpoint, options))), updates };
}

async function queue() {
  const submit = () => fal.queue.submit(endpoint, { input: JSON.parse(input) });
  const status = (requestId, logs) => fal.queue.status(endpoint, { requestId, logs });
  const result = (requestId) => ending(fal.queue.result(endpoint, { requestId }));
  const cancel = (requestId) => ending(fal.queue.cancel(endpoint, { requestId }));
  const unknown = "00000000-0000-4000-8000-000000000000";

  const { request_id: first } = await submit();
  const { request_id: second } = await submit();
  const outcome = { first, second };
  outcome.queued = await status(second);
  outcome.running = await status(first);
  outcome.running_with_logs = await status(first, true);
  outcome.early = await result(first);
  outcome.cancel = await cancel(second);
  outcome.cancelled = await status(second);
  outcome.cancelled_result = await result(second);
  skip(600);
  await fal.queue.subscribeToStatus(endpoint, { requestId: first, pollInterval: 50 });
  outcome.completed = await status(first);
  outcome.completed_with_logs = await status(first, true);
  outcome.result = await result(first);
  outcome.late_cancel = await cancel(first);
  outcome.unknown = await ending(status(unknown));
  outcome.unknown_result = await result(unknown);
  outcome.unknown_cancel = await cancel(unknown);
  return outcome;
}

async function startTimeout() {
  const submission = { input: JSON.parse(input), startTimeout: 30 };
  const { request_id: requestId } = await fal.queue.submit(endpoint, submission);
  skip(31);
  await fal.queue.subscribeToStatus(endpoint, { requestId, pollInterval: 50 });
  return ending(fal.queue.result(endpoint, { requestId }));
}

async function stream() {
  const stream = await fal.stream(endpoint, { input: JSON.parse(input) });
  const events = [];
  for await (const event of stream) events.push(event);
  return ending(stream.done().then((done) => ({ events, done })));
}

/** A file of so many mebibytes, each of which begins with its number. */
async function upload() {
  const { mebibytes } = JSON.parse(input);
  const bytes = Buffer.alloc(mebibytes << 20, "x");
  for (let number = 0; number < mebibytes; number += 1) bytes.writeUInt32BE(number, number << 20);
  const blob = new Blob([bytes], { type: "image/png" });
  return ending(fal.storage.upload(blob, { lifecycle: { expiresIn: "1h" } }));
}

const uses = {
  subscribe: () => subscribe("polling"),
  "subscribe-streaming": () => subscribe("streaming"),
  queue,
  "start-timeout": startTimeout,
  run: () => ending(fal.run(endpoint, { input: JSON.parse(input) })),
  stream,
  upload,
};
say({ outcome: await uses[use]() });
