"""A small real server of HTTP/1.1 whose answers, delays and freezes a test decides."""

import contextlib
import json
import socket
import threading
import time

import pytest


class Server:
    """Answers each request after ``delay`` seconds; stands still for ``freeze`` seconds at request ``freeze_at``."""

    def __init__(self):
        self.delay, self.freeze_at, self.freeze, self.status = 0.0, 0, 0.0, 200
        self.reply, self.close, self.silent = {"predictions": []}, False, False
        self.bodies, self.heads, self.metadata = [], [], None
        self.wrap = lambda line: line
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                line, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            line = self.wrap(line)
        except OSError:  # the client does not trust the certificate
            return
        with contextlib.suppress(ConnectionError), line, line.makefile("rb") as words:
            while True:
                head = []
                while (word := words.readline()) not in (b"\r\n", b""):
                    head.append(word.decode().strip())
                if not head:
                    return
                length = next((int(h.split(":")[1]) for h in head if h.lower().startswith("content-length")), 0)
                body = words.read(length)
                self._answer(line, head, body)
                if self.close:
                    return

    def _answer(self, line, head, body):
        asked = head[0].startswith("GET") and self.metadata is not None
        with self._lock:  # one worker: requests wait for each other, and all of them for a freeze
            self.heads.append(head)
            self.bodies.append(body)
            if len(self.heads) == self.freeze_at:
                time.sleep(self.freeze)
            time.sleep(self.delay)
        if self.silent and not asked:
            time.sleep(5)
            return
        said = json.dumps(self.metadata if asked else self.reply).encode()
        extra = "Connection: close\r\n" if self.close else ""
        status = 200 if asked else self.status
        line.sendall(f"HTTP/1.1 {status} X\r\n{extra}Content-Length: {len(said)}\r\n\r\n".encode() + said)

    def end(self):
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._socket.close()


@pytest.fixture
def server():
    made = Server()
    yield made
    made.end()
