//! Source of each behaviour of the emulator.
//!
//! *Documented*: in fal's documentation or the code of its own clients. *Observed*: reported by a
//! third party. *Chosen*: open, and decided here, most often for the reading that is harder on a
//! client.
//!
//! | behaviour | | source or reason |
//! | --- | --- | --- |
//! | three states, 202 until `COMPLETED`, then 200; failure and cancellation are `COMPLETED` | documented | fal docs, queue; REST reference |
//! | submit answers 200 with `IN_QUEUE`, id, three URLs, position; nothing is validated yet | documented | fal docs, queue; `fal-js` types |
//! | follow-up URLs name owner and alias only; three forms and trailing slashes are served | documented | `fal_client` tests; fal docs, queue; per-endpoint OpenAPI |
//! | `logs` is `null` unless `logs=1` or `true`, then an array; cumulative by polling | documented | `fal_client` and its tests |
//! | log entries have message, timestamp, level, source | documented | `fal-js` types |
//! | `metrics.inference_time` | documented | `fal-js` types |
//! | `error` and `error_type` on a failed status; for a model's own 4xx or 5xx only `error`, worded like the webhook's | chosen | not documented for model errors |
//! | result relays the model's status and body with `x-fal-request-id` and `X-Fal-Billable-Units` | documented | fal docs, request errors, headers |
//! | result before the end: 400 | documented | tests of fal's own toolkit |
//! | its text; `{"status":"NOT_FOUND"}` for unknown ids | observed | |
//! | result of an unknown or expired request: 404 | chosen | inferred from the status |
//! | results live one hour, six minutes from 10 000 bytes on | documented | REST reference, result |
//! | payload storage (30 days) is off by default | chosen | so that no test relies on it |
//! | status stream: `data:` events, comment every 15 s, closes after `COMPLETED` | documented | REST reference, status stream |
//! | an event at once, on every change of state or position and for new log lines; logs incremental | chosen | the cadence is not documented |
//! | cancel: 200 `OK` if queued, 202 `CANCELLATION_REQUESTED` if running, 400, 404 | documented | REST reference, cancel |
//! | a job cancelled in the queue is `COMPLETED` with `client_cancelled`, its result 499 | chosen | not documented |
//! | a running job ignores a cancel unless [`crate::EmulatorBuilder::cancellable`] | chosen | what an app without a cancel route does |
//! | start timeout by two header names, decimal, above 0.1 s; missed: 504 with `X-Fal-Request-Timeout-Type: user` | documented | fal docs, common parameters; the newer name is observed |
//! | it counts from the submit, across lost runners; `error_type` is `startup_timeout` | chosen | the older docs tie the two together |
//! | `fal_max_queue_length` refuses with 429 when more than that many wait | documented | fal docs, queue; the body is chosen |
//! | `X-Fal-Queue-Priority: low` waits behind all normal requests | documented | fal docs, queue |
//! | `X-Fal-No-Retry`, `X-Fal-Store-IO: 0` | documented | fal docs, common parameters |
//! | a lost runner sends the request back to the queue | documented | fal docs, retries |
//! | concurrency: two run at once by default, others wait; a synchronous run gets 429 | documented | fal docs, concurrency; the body of the 429 is chosen |
//! | a synchronous run goes on and is billed if the caller leaves | documented | fal docs, synchronous (older) |
//! | `POST .../stream` runs the model and answers with one event, the output | chosen | the form is documented; whether this endpoint has the route is not |
//! | 401 and 404 texts for keys and apps | observed | |
//! | any `id:secret` is a known key unless [`crate::EmulatorBuilder::key`]; user logins (`Bearer`) and temporary tokens are not served | chosen | |
//! | malformed JSON on submit: 400 `bad_request`; body too large: 413 | chosen | |
//! | 422 of the app framework: Pydantic 2 types, places and limits, lenient coercion, 0 units | documented | fal docs, errors; FastAPI |
//! | `null` for an optional field without default is accepted | chosen | inferred from the newer document |
//! | model errors: `file_download_error`, `image_load_error`, `image_too_large`, with `url` and `ctx` | documented | fal docs, errors |
//! | references above 2048 x 2048 are too large | observed | |
//! | one to three references | chosen | the roles; a reseller says the same |
//! | pictures above 4096 pixels a side are refused as too large | chosen | to bound memory |
//! | references by URL (up to 50 MiB, five redirects) or data URI | documented | fal's toolkit |
//! | private and loopback addresses are fetched too | chosen | test pictures are there; the service refuses such addresses |
//! | size presets | documented | fal's toolkit |
//! | `keep_size` gives the content's size exactly; otherwise the content fills the size and is cut | chosen | |
//! | outputs of other endpoints are made up from their schemas, and billed as one unit at the price of a megapixel | chosen | the document of an endpoint names neither |
//! | `sync_mode`: data URIs, nothing in the history | documented | endpoint schema of 2026 |
//! | the prompt's word `nsfw` is what the safety checker finds: a black picture, flagged | chosen | black pictures as in sibling models |
//! | seeds are echoed as sent; random ones are below 2^53 | chosen | the service's use 64 bits |
//! | $0.10 a megapixel of output | documented | the model's page |
//! | megapixels are of 10^6 pixels and not rounded | chosen | not documented |
//! | only pictures are billed; 4xx and 5xx are free, unless a scenario says otherwise | documented | fal docs, FAQ (a 422 may cost if GPU time was spent) |
//! | files at `/files/b/<8 hex>/<name>` on `v3b.fal.media` | observed | URLs of current outputs |
//! | uploads: presigned (`fal-cdn-v3` and `gcs`, whole and in parts), by CDN token (whole and in parts); tags in body and header | documented | `fal-js`, `fal_client`, fal's toolkit |
//! | a presigned PUT must have the declared content type (403) | chosen | as such storages do |
//! | an `Authorization` beside a presigned address is ignored | observed | `fal_client` sends one on its second upload route |
//! | a completion names every part with its tag, in any order; afterwards the upload is unknown (404) | chosen | the order is documented |
//! | part numbers from 1 to 10 000; a part that comes again replaces the first | chosen | |
//! | CDN tokens live 30 days, or `expiration_seconds` if that is less; unknown or expired: 401 | documented | fal's toolkit; the 401 is chosen |
//! | file lifecycle by two header names, on uploads and submits; 0 seconds is never | documented | fal docs, file access; `fal_client` |
//! | access `allow`, `forbid` (403), `hide` (404); the owner's token always reads | documented | fal docs, file access |
//! | rules for single users are dropped, as for unknown users | documented | there are no other users here |
//! | files without an expiry stay until 1 GiB of newer ones is there | chosen | the default retention is open |
//! | a signed link carries its secret as `link` | chosen | links are opaque |
//! | webhooks: one POST for every end of a queued request, with `request_id`, `gateway_request_id`, `status`, `payload`, `error`, `payload_error` | documented | fal docs, webhooks |
//! | a submit with a webhook answers with `gateway_request_id` too; it changes when a lost runner is replaced | documented | fal docs, webhooks |
//! | signed with Ed25519 over four lines, in lower-case hex; keys at `/.well-known/jwks.json` of the REST host, without a key | documented | fal docs, webhooks |
//! | two keys are published, of which the second signs | chosen | receivers must try every key |
//! | 15 s for the first attempt, 120 s for others, at most 31 repetitions while the result is kept; 2xx ends them, 3xx too, as a failure | documented | fal docs, webhooks |
//! | pauses of 5 s, doubling up to 120 s | chosen | they are only said to grow |
//! | every attempt is signed anew, with the key and the time of the attempt | chosen | otherwise receivers would refuse most repetitions as too old |
//! | a request that is cancelled, or misses its start deadline, is announced with `ERROR` | chosen | not documented |
//! | `error` of a platform failure is its text | chosen | documented for model errors alone |
//! | the user id is `user-` and the key's id | chosen | opaque |
//! | loopback addresses are called, and no others | chosen | the service does the opposite |
//! | an address that is no http(s) URL: 400 `bad_request` | chosen | |
//! | CORS for pages of this machine; from any origin with [`crate::EmulatorBuilder::allow_any_origin`] | chosen | fal allows any origin; a local service must not |
//! | `Host` names other than loopback and fal's own: 403 | chosen | a rebound name must not reach a local service |
//! | backup hosts answer alike and name the primary | documented | next versions of both clients |
//! | OpenAPI document at its public address; unknown id: 404 and `null` | documented; observed | |
//! | Platform API: requests by endpoint, its error envelope | documented | `api.fal.ai/v1/openapi.json` |
//! | a request is listed from its start on (after [`crate::EmulatorBuilder::index_delay`]); the window filters on the start | chosen | neither is documented |
//! | 128 streams a connection over HTTP/2 | chosen | a usual limit |
//!
//! Not emulated: temporary tokens, user logins, WebSocket transports, tags, and the rest of the
//! Platform API.
