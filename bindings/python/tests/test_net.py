"""The network, as rules allow it."""

import shutil
import subprocess
import unittest

import sandlock
from support import sandbox, server

SERVE = (
    "import socket, sys\n"
    "s = socket.socket(); s.bind(('127.0.0.1', int(sys.argv[1]))); s.listen()\n"
    "print('serving', flush=True)\n"
    "c = s.accept()[0]; c.sendall(b'inside'); c.close()"
)


class Net(unittest.TestCase):
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


if __name__ == "__main__":
    unittest.main()
