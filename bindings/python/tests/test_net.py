"""The network, as rules allow it."""

import shutil
import subprocess
import unittest

import sandlock
from support import sandbox, server

GET = (
    "import sys, urllib.request\n"
    "print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
)
SERVE = (
    "import socket, sys\n"
    "s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen()\n"
    "print('serving', flush=True)\n"
    "c = s.accept()[0]; c.sendall(b'inside'); c.close()"
)


class Net(unittest.TestCase):
    def fetch(self, port, **fields):
        return sandbox(**fields).run(["python3", "-c", GET, f"http://127.0.0.1:{port}/"], timeout=20)

    def test_rule_lets_it_reach_a_server_and_no_other_port(self):
        with server() as port, server() as other:
            rules = [f"tcp://127.0.0.1:{port}"]
            self.assertEqual(self.fetch(port, net_allow=rules).stdout, b"hello\n")
            result = self.fetch(other, net_allow=rules)
            self.assertFalse(result.success)
            self.assertIn(b"Permission denied", result.stderr)
            self.assertFalse(self.fetch(port).success)
            self.assertFalse(self.fetch(port, net_allow=rules, net_deny=["127.0.0.0/8"]).success)

    def test_curl_reaches_it_by_its_rule(self):
        if not shutil.which("curl"):
            self.skipTest("no curl here")
        with server() as port:
            box = sandbox(net_allow=[f"tcp://127.0.0.1:{port}"])
            self.assertEqual(box.run(["curl", "-s", f"http://127.0.0.1:{port}/"], timeout=20).stdout, b"hello")

    def test_ports_of_its_own(self):
        """Two that both bind to 8080, and the host finds each of them."""
        import socket

        box = sandbox(net_allow_bind=[8080], port_remap=True)
        try:
            pair = [box.popen(["python3", "-c", SERVE, "8080"], stdout=subprocess.PIPE) for _ in range(2)]
        except sandlock.Unsupported as error:
            self.skipTest(str(error))
        with box:
            outside = set()
            for process in pair:
                self.assertEqual(process.stdout.readline(), b"serving\n")
                (port,) = process.ports()
                self.assertEqual((port.protocol, port.inside), ("tcp", 8080))
                with socket.create_connection(("127.0.0.1", port.outside), timeout=10) as connection:
                    self.assertEqual(connection.recv(100), b"inside")
                outside.add(port.outside)
            self.assertEqual(len(outside), 2)

    def test_binding_is_refused_without_a_rule(self):
        result = sandbox(net_allow_bind=["8000-8999"], net_deny_bind=[8080]).run(["python3", "-c", SERVE, "8080"], timeout=20)
        self.assertIn(b"Permission denied", result.stderr)

    def test_rules_of_a_running_one_are_changed(self):
        script = (
            "import sys, urllib.request\n"
            "for line in sys.stdin:\n"
            "    try: print(urllib.request.urlopen(line.strip(), timeout=10).read().decode(), flush=True)\n"
            "    except OSError as error: print('refused', flush=True)\n"
        )
        with server() as port:
            box = sandbox(net_allow=[f"tcp://127.0.0.1:{port}"], net_updates=True)
            with box.popen(["python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:

                def ask():
                    process.stdin.write(f"http://127.0.0.1:{port}/\n".encode())
                    process.stdin.flush()
                    return process.stdout.readline()

                self.assertEqual(ask(), b"hello\n")
                process.update_net(allow=[])
                self.assertEqual(ask(), b"refused\n")
                process.update_net()
                self.assertEqual(ask(), b"hello\n")


if __name__ == "__main__":
    unittest.main()
