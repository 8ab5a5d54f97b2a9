"""Runs the tests, and prints a line for each: "ok NAME", "not ok NAME" with the reason as comments, "absent NAME: REASON"."""

import os
import sys
import unittest


class Lines(unittest.TestResult):
    def name(self, test):
        return "python_" + test.id().split(".")[-1].replace("test_", "", 1)

    def addSuccess(self, test):
        print(f"ok {self.name(test)}", flush=True)

    def addSkip(self, test, reason):
        print(f"absent {self.name(test)}: {reason}", flush=True)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.said(test, self.failures[-1][1])

    def addError(self, test, error):
        super().addError(test, error)
        self.said(test, self.errors[-1][1])

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.said(subtest, self._exc_info_to_string(error, test))

    def said(self, test, text):
        for line in text.splitlines():
            print(f"# {line}")
        print(f"not ok {self.name(test)}", flush=True)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.insert(0, here)
    loader = unittest.TestLoader()
    if sys.argv[1:]:
        loader.testNamePatterns = [f"*{pattern}*" for pattern in sys.argv[1:]]
    result = Lines()
    loader.discover(here).run(result)
    if result.testsRun == 0:
        sys.exit("not ok python_ran_no_test")
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
