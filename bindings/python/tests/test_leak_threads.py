"""What the interpreter keeps of the library's threads, and for how long."""

import sys
import threading
import unittest

from sandlock import NotifAction
from sandlock.threads import wait_until_none_stays
from support import sandbox

ASKS = ["/usr/bin/python3", "-c", "import os; print(sum(os.getppid() for _ in range(20)))"]


class Threads(unittest.TestCase):
    def test_thread_keeps_its_state_between_calls(self):
        mine = threading.local()
        counts = []

        def handle(_):
            mine.calls = getattr(mine, "calls", 0) + 1
            counts.append(mine.calls)
            return NotifAction.returns(7)

        result = sandbox().run_with_handlers(ASKS, {"getppid": handle}, timeout=20)
        self.assertEqual(result.stdout, b"140\n", result.stderr)
        self.assertGreater(max(counts), 1)

    def test_nothing_is_kept_of_a_thread_that_has_ended(self):
        names = set()
        ended = []

        class Owned:
            def __del__(self):
                ended.append(self)

        mine = threading.local()

        def handle(_):
            names.add(threading.current_thread().name)  # which makes an object for a thread that Python has not made
            mine.owned = Owned()
            return NotifAction.returns(7)

        for _ in range(3):
            self.assertTrue(sandbox().run_with_handlers(ASKS, {"getppid": handle}, timeout=20).success)
        self.assertTrue(wait_until_none_stays(20))
        self.assertTrue(names)
        self.assertEqual(len(ended), 60)
        left = [thread.name for thread in threading.enumerate() if isinstance(thread, threading._DummyThread)]
        self.assertEqual(left, [])
        self.assertLess(len(sys._current_frames()), 3)


if __name__ == "__main__":
    unittest.main()
