"""The API: a small HTTP server that knows the kingdom's spells.

    python3 api_server.py [PORT]        answers GET http://127.0.0.1:PORT/spells; 4801 unless told
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SPELLS = {
    "lumos": "makes light",
    "petrificus": "turns the listener to stone",
    "resurgo": "raises the fallen, at most 3 times in 5 seconds",
}


class Spells(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path != "/spells":
            self.send_error(404)
            return
        body = json.dumps(SPELLS).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print("api_server:", format % args, flush=True)


def main() -> None:
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 4801
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), Spells)
    except OSError as error:
        sys.exit(f"api_server: cannot listen on 127.0.0.1:{port}: {error.strerror}")
    print(f"api_server: {len(SPELLS)} spells at http://127.0.0.1:{server.server_port}/spells", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
