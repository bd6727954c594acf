// What a page does with fal's own JavaScript client through a proxy; the same in Node and in a browser.

const endpoint = "fal-ai/uso";

/** What became of a call: its value, or the error as the client throws it. */
async function ending(promise) {
  try {
    return { value: await promise };
  } catch (error) {
    const { name, message, status, body, requestId } = error;
    return { error: { name, message, status, body, request_id: requestId } };
  }
}

/**
 * Uses the client. `proxyUrl` is the client's own setting; `bearer` is the token, where there is no
 * session; `picture` is a Blob to upload.
 */
export async function play(createFalClient, use, { proxyUrl, bearer, input, picture }) {
  const fal = createFalClient({
    proxyUrl,
    requestMiddleware: async (request) =>
      bearer
        ? { ...request, headers: { ...request.headers, Authorization: `Bearer ${bearer}` } }
        : request,
  });

  async function subscribe(mode, change = {}) {
    const updates = [];
    const options = {
      input: { ...input, ...change },
      logs: true,
      mode,
      pollInterval: 50,
      onQueueUpdate: (update) => updates.push(update.status),
    };
    return { ...(await ending(fal.subscribe(endpoint, options))), updates };
  }

  const uses = {
    polling: () => subscribe("polling"),
    streaming: () => subscribe("streaming"),
    refused: () => subscribe("polling", { num_inference_steps: 0 }),
    run: () => ending(fal.run(endpoint, { input })),
    async upload() {
      const url = await fal.storage.upload(picture);
      return { url, ...(await subscribe("polling", { input_image_urls: [url] })) };
    },
    async cancel() {
      const { request_id: requestId } = await fal.queue.submit(endpoint, { input });
      await fal.queue.subscribeToStatus(endpoint, { requestId, pollInterval: 50 });
      return { requestId, ...(await ending(fal.queue.cancel(endpoint, { requestId }))) };
    },
    webhook: () =>
      ending(fal.queue.submit(endpoint, { input, webhookUrl: "https://evil.example/" })),
    other: () => ending(fal.queue.submit("fal-ai/flux/dev", { input })),
  };
  return uses[use]();
}
