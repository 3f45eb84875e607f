"""Who lends cards on ZeroGPU, played on this machine: the four questions that the `spaces` package asks."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Lender:
    """What was asked, in order, each with its parameters; after `patience` leases it has no card any more."""

    url: str = ""
    patience: int = 1000
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def told(self, question: str) -> list[dict[str, str]]:
        """The parameters of every time a question was asked."""
        return [parameters for asked, parameters in self.asked if asked == question]

    @contextmanager
    def open(self) -> Iterator["Lender"]:
        """Answers until the end of the block."""
        lender = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                parameters = {key: values[0] for key, values in parse_qs(parts.query).items()}
                question = parts.path.strip("/")
                lender.asked.append((question, parameters))
                if question == "schedule" and len(lender.told("schedule")) > lender.patience:
                    self.answer(503)
                elif question == "schedule":
                    token = f"lease-{len(lender.asked)}"
                    self.answer(200, {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": token})
                else:
                    self.answer(200)

            def answer(self, status: int, body: object = None) -> None:
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()
