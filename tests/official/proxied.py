"""One submit of fal's own Python client, unmodified, through the proxy: `python proxied.py <settings>`.

The client has no setting for a proxy of this kind, so its HTTP client sends each request there, as a
program would that has the client behind it. Pauses between its attempts take no time. The line on
stdout is JSON.
"""

import json
import sys
import time

import fal_client
import httpx

settings = json.loads(sys.argv[1])
attempts = []


def through_proxy(request):
    """Sends a request to the proxy, with its target as a header."""
    request.headers["x-fal-target-url"] = str(request.url)
    request.headers["authorization"] = "Bearer " + settings["bearer"]
    request.url = httpx.URL(settings["proxy"])
    request.headers["host"] = request.url.netloc.decode()


time.sleep = lambda seconds: None
client = fal_client.SyncClient(key="not:used")
client._client.event_hooks = {
    "request": [through_proxy],
    "response": [lambda response: attempts.append(response.status_code)],
}
try:
    handle = client.submit("fal-ai/uso", arguments=settings["input"])
    outcome = {"value": handle.request_id}
except fal_client.FalClientHTTPError as error:
    outcome = {"error": {"status": error.status_code, "text": str(error), "body": error.response.json()}}
print(json.dumps({**outcome, "attempts": attempts}))
