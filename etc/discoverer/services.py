"""Hermes and Pigeon: two services that know everybody's e-mail address, played by one small HTTP server.

    python3 services.py PORT HERMES_MOOD PIGEON_MOOD

    GET /hermes/people/ada        {"name": "ada", "email": "ada@hermes.example"}
    GET /pigeon/find?name=ada     {"person": "ada", "contact": {"mail": "ada@pigeon.example", "verified": true}}

Each takes its time, up to a third of a second, and then is in one of these moods; or, if told "any", in another one for
each request, by the odds below:

    fine       it answers as above
    java       what it answers is right, and followed by a stack trace: a quarter of the time
    down       503
    renamed    its developers have had an idea: `email` is `eMail` now, `contact` is `contacts`
    stuck      it sends a space every half second, and would do so until tomorrow: no timeout on a socket helps
"""

import json
import random
import sys
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

ODDS = {"fine": 55, "java": 25, "down": 10, "renamed": 8, "stuck": 2}
"""Percent. Either service is of use in a bit more than half of all cases."""
LONGEST_LATENCY = 0.3
"""Seconds."""

STACK_TRACE = """
java.lang.NullPointerException: Cannot invoke "Metrics.count()" because "this.metrics" is null
\tat example.directory.PersonController.afterCompletion(PersonController.java:81)
\tat example.directory.Main.main(Main.java:12)
"""


def hermes(name: str, mood: str) -> Any:
    return {"name": name, "eMail" if mood == "renamed" else "email": f"{name}@hermes.example"}


def pigeon(name: str, mood: str) -> Any:
    contact = {"mail": f"{name}@pigeon.example", "verified": True}
    return {"person": name, "contacts" if mood == "renamed" else "contact": contact}


class Services(BaseHTTPRequestHandler):
    moods = ("any", "any")
    """Of Hermes and of Pigeon."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        match url.path.split("/"):
            case ["", "hermes", "people", name]:
                self.play(hermes, self.moods[0], unquote(name))
            case ["", "pigeon", "find"]:
                self.play(pigeon, self.moods[1], parse_qs(url.query)["name"][0])
            case _:
                self.send_error(404)

    def play(self, answer_of: Callable[[str, str], Any], mood: str, name: str) -> None:
        if mood == "any":
            [mood] = random.choices(list(ODDS), list(ODDS.values()))
        time.sleep(random.uniform(0, LONGEST_LATENCY))
        if mood == "down":
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        while mood == "stuck":
            self.wfile.write(b" ")
            time.sleep(0.5)
        body = json.dumps(answer_of(name, mood))
        self.wfile.write((body + STACK_TRACE if mood == "java" else body).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Thousands of requests, and nothing to say about them."""


class Server(ThreadingHTTPServer):
    request_queue_size = 1024

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked has hung up: everyday life of a server."""


def main() -> None:
    port, hermes_mood, pigeon_mood = sys.argv[1:]
    for mood in (hermes_mood, pigeon_mood):
        if mood not in ("any", *ODDS):
            sys.exit(f"services: cannot be in the mood {mood!r}: there are any, {', '.join(ODDS)}")
    Services.moods = (hermes_mood, pigeon_mood)
    try:
        server = Server(("127.0.0.1", int(port)), Services)
    except OSError as error:
        sys.exit(f"services: cannot listen on 127.0.0.1:{port}: {error.strerror}")
    print(f"services: hermes ({hermes_mood}) and pigeon ({pigeon_mood}) at http://127.0.0.1:{port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
