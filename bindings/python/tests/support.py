"""What the tests share."""

import contextlib
import http.server
import logging
import os
import threading

from sandlock import Sandbox, optional

DIRECTORIES = ["/usr", "/bin", "/lib", optional("/lib64")]


def sandbox(**fields):
    """One in which the usual programs can be executed."""
    fields.setdefault("fs_readable", DIRECTORIES)
    fields.setdefault("clean_env", True)
    return Sandbox(**fields)


def shell(script):
    return ["sh", "-c", script]


@contextlib.contextmanager
def quiet():
    """Handlers that fail say so in the log, which is not a test's output. Gives the lines."""
    lines = []

    class Keep(logging.Handler):
        def emit(self, record):
            lines.append(record.getMessage())

    log, keep = logging.getLogger("sandlock"), Keep()
    log.addHandler(keep)
    log.propagate = False
    try:
        yield lines
    finally:
        log.removeHandler(keep)
        log.propagate = True


@contextlib.contextmanager
def server():
    """A server of HTTP on 127.0.0.1, which answers "hello". Gives its port."""

    class Hello(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as serving:
        thread = threading.Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield serving.server_address[1]
        finally:
            serving.shutdown()
            thread.join()


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def threads():
    return len(os.listdir("/proc/self/task"))
