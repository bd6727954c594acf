"""One use of fal's own Python client, unmodified: `python client.py <use> <input>`.

The client reads two of its hosts from FAL_RUN_HOST and FAL_QUEUE_RUN_HOST; those of files are
fixed, and resolve to the address in FAL_ADDRESS. Every line on stdout is JSON:
`{"skip": seconds}` asks for time to pass at the service and waits for a line on stdin, the last
one holds the outcome.
"""

import asyncio
import json
import os
import socket
import sys
import tempfile

import fal_client

ENDPOINT = "fal-ai/uso"
WORDS = {
    fal_client.Queued: "IN_QUEUE",
    fal_client.InProgress: "IN_PROGRESS",
    fal_client.Completed: "COMPLETED",
}

ADDRESS, PORT = os.environ["FAL_ADDRESS"].rsplit(":", 1)
resolve = socket.getaddrinfo


def getaddrinfo(host, port, *arguments, **options):
    """The name service of a world in which fal's file hosts are here."""
    if host in ("rest.fal.ai", "v3.fal.media", "v3b.fal.media"):
        host, port = ADDRESS, PORT
    return resolve(host, port, *arguments, **options)


socket.getaddrinfo = getaddrinfo

use, text = sys.argv[1:]
given = json.loads(text)


def say(line):
    print(json.dumps(line), flush=True)


def skip(seconds):
    say({"skip": seconds})
    sys.stdin.readline()


def status(found):
    """A status as the service words it, of what the client kept of it."""
    fields = dict(vars(found))
    if "position" in fields:
        fields["queue_position"] = fields.pop("position")
    return {"status": WORDS[type(found)], **fields}


def failed(error):
    return {
        "error": {
            "name": type(error).__name__,
            "status": error.status_code,
            "body": error.response.json(),
            "request_id": error.response_headers.get("x-fal-request-id"),
            "user_timeout": error.response_headers.get("x-fal-request-timeout-type") == "user",
        }
    }


def ending(call):
    """What a call came to, be it an error of the client. Any other error ends the program."""
    try:
        return {"value": call()}
    except fal_client.FalClientHTTPError as error:
        return failed(error)


class Updates:
    def __init__(self):
        self.seen = []

    def __call__(self, update):
        update = status(update)
        first = all(seen["status"] != update["status"] for seen in self.seen)
        self.seen.append(update)
        if first and update["status"] == "IN_PROGRESS":
            skip(600)


def subscribe():
    updates = Updates()
    outcome = ending(
        lambda: fal_client.subscribe(
            ENDPOINT, given, with_logs=True, on_queue_update=updates
        )
    )
    return {**outcome, "updates": updates.seen}


async def subscribe_async():
    updates = Updates()
    try:
        value = await fal_client.subscribe_async(
            ENDPOINT, given, with_logs=True, on_queue_update=updates
        )
        outcome = {"value": value}
    except fal_client.FalClientHTTPError as error:
        outcome = failed(error)
    return {**outcome, "updates": updates.seen}


def queue():
    def follow(request_id, with_logs=False):
        return status(fal_client.status(ENDPOINT, request_id, with_logs=with_logs))

    def result(request_id):
        return ending(lambda: fal_client.result(ENDPOINT, request_id))

    def cancel(request_id):
        return ending(lambda: fal_client.cancel(ENDPOINT, request_id))

    unknown = "00000000-0000-4000-8000-000000000000"
    running = fal_client.submit(ENDPOINT, given)
    first = running.request_id
    second = fal_client.submit(ENDPOINT, given).request_id
    outcome = {"first": first, "second": second}
    # The addresses that the service named are those that the client would build itself, which
    # fal's own tests demand.
    built = fal_client.sync_client.get_handle(ENDPOINT, first)
    outcome["addresses_agree"] = running == built
    outcome["queued"] = follow(second)
    outcome["running"] = follow(first)
    outcome["running_with_logs"] = follow(first, with_logs=True)
    outcome["cancel"] = cancel(second)
    outcome["cancelled"] = follow(second)
    outcome["cancelled_result"] = result(second)
    skip(600)
    # Waits for the end itself.
    outcome["result"] = result(first)
    outcome["completed"] = follow(first)
    outcome["completed_with_logs"] = follow(first, with_logs=True)
    outcome["late_cancel"] = cancel(first)
    outcome["unknown"] = ending(lambda: follow(unknown))
    outcome["unknown_cancel"] = cancel(unknown)
    return outcome


def start_timeout():
    handle = fal_client.submit(ENDPOINT, given, start_timeout=30)
    skip(31)
    return ending(handle.get)


def stream():
    return {"value": list(fal_client.stream(ENDPOINT, given))}


def file_of(mebibytes):
    """A file of so many mebibytes, each of which begins with its number."""
    for number in range(mebibytes):
        yield number.to_bytes(4, "big") + b"x" * ((1 << 20) - 4)


def upload():
    content = b"".join(file_of(given["mebibytes"]))
    return ending(lambda: fal_client.upload(content, "image/png", file_name="a.png"))


def upload_file(name):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.writelines(file_of(given["mebibytes"]))
        return ending(lambda: fal_client.upload_file(path))


uses = {
    "subscribe": subscribe,
    "subscribe-async": lambda: asyncio.run(subscribe_async()),
    "queue": queue,
    "start-timeout": start_timeout,
    "run": lambda: ending(lambda: fal_client.run(ENDPOINT, given)),
    "stream": stream,
    "upload": upload,
    "upload-file": lambda: upload_file("a.png"),
    "upload-named-file": lambda: upload_file("фото.png"),
}
say({"outcome": uses[use]()})
