"""A web service on this machine, for applications whose jobs ask one."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[[str, str, int], tuple[int, str]]
"""From a path, the body, and how often this path was asked for: the status and the text of the answer."""


class Service:
    """What a test knows of the service: its address, and how often each path was asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: Counter[str] = Counter()
        self.released = threading.Event()

    def hold(self) -> None:
        """Called in an answer: gives it only when the test has ended."""
        self.released.wait()


@contextmanager
def serving(answer: Answer) -> Iterator[Service]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            service.asked[self.path] += 1
            status, text = answer(self.path, body, service.asked[self.path])
            with suppress(ConnectionError):  # whoever asked was killed
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

        do_PUT = do_GET  # noqa: N815 - http.server looks for this name

        def log_message(self, *_: object) -> None:
            """Keeps the output of the tests clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service = Service(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield service
    finally:
        service.released.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def payment_service() -> Iterator[Service]:
    """Charges orders. That of order 2 fails at first, that of 3 is declined; 4 and receipt R4 wait at first."""

    def answer(path: str, _: str, times: int) -> tuple[int, str]:
        number = path.rpartition("/")[2]
        if times == 1 and number in ("4", "R4"):
            service.hold()
        if times == 1 and number == "2":
            return 503, "later"
        return (402, "no") if number == "3" else (200, number if number.startswith("R") else f"R{number}")

    with serving(answer) as service:
        yield service
