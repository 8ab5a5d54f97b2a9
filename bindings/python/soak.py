"""A mixed load for SANDLOCK_SOAK_SECONDS, 20 by default: threads that run programs in every way of leak.py, an event loop with programs,
async handlers, cancels and time-outs of its own, and the collector. It is in five parts; after each, when all is quiet, it says what this
process holds, in lines as leak.py has them, and then `delay NAME VALUE` in milliseconds: the median and the longest time that the loop
did not get its turn. It ends with programs that run: `alive PID` for each."""

import asyncio
import collections
import gc
import math
import os
import random
import statistics
import sys
import threading
import time

from leak import ASKS_FOR_PARENT, NULL, WAYS, answer_later, be_quiet, box, check, say_what_is_held

THREADS, TASKS, PARTS = 2, 4, 5
PAUSE = 0.02  # between two runs, so that tests may run beside
delays = collections.Counter()  # by milliseconds, so that it does not grow with time
failures = []
runs = 0
lock = threading.Lock()


def count():
    global runs
    with lock:
        runs += 1


def work(until, seed):
    chance = random.Random(seed)
    while time.monotonic() < until and not failures:
        chance.choice(WAYS)()
        count()
        time.sleep(chance.random() * PAUSE)


async def once_on_the_loop(chance):
    kind = chance.randrange(4)
    if kind == 0:
        result = await box.arun(ASKS_FOR_PARENT, handlers={"getppid": answer_later})
        check(result.stdout == b"8\n", "async handler")
    elif kind == 1:
        check((await box.arun(["echo", "hello"])).stdout == b"hello\n", "plain")
    elif kind == 2:
        check((await box.arun(["sleep", "60"], timeout=0.01)).reason.name == "TIMEOUT", "timed out")
    else:
        task = asyncio.ensure_future(box.arun(["sleep", "60"], handlers={"uname": answer_later}))
        await asyncio.sleep(chance.random() * 0.01)
        task.cancel()
        await asyncio.wait([task])
        check(task.cancelled(), "cancelled")
    count()


async def load_the_loop(until, seed):
    async def task(number):
        chance = random.Random(seed * 100 + number)
        while time.monotonic() < until and not failures:
            await once_on_the_loop(chance)
            await asyncio.sleep(chance.random() * PAUSE)

    async def watch():
        while time.monotonic() < until:
            start = time.monotonic()
            await asyncio.sleep(0.005)
            delays[math.ceil((time.monotonic() - start - 0.005) * 1000)] += 1

    await asyncio.gather(watch(), *(task(number) for number in range(TASKS)))


def collect(until, _):
    while time.monotonic() < until and not failures:
        gc.collect()
        time.sleep(0.05)


def guarded(function, *arguments):
    try:
        function(*arguments)
    except BaseException as error:  # noqa: B902 - told by the main thread
        failures.append(error)


def part(number, seconds):
    until = time.monotonic() + seconds
    bodies = [work] * THREADS + [collect, lambda *both: asyncio.run(load_the_loop(*both))]
    threads = [
        threading.Thread(target=guarded, args=(body, until, number * 10 + index)) for index, body in enumerate(bodies)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for failure in failures:
        raise failure
    del threads
    say_what_is_held(runs)


def main():
    be_quiet()
    seconds = float(os.environ.get("SANDLOCK_SOAK_SECONDS", 20))
    for number in range(PARTS):
        part(number, seconds / PARTS)
    print("delay median", statistics.median(delays.elements()))
    print("delay longest", max(delays))
    running = [box.popen(["sleep", "1000"], NULL, NULL, NULL, {"uname": answer_later}) for _ in range(3)]
    for process in running:
        print("alive", process.pid)
    sys.stdout.flush()


main()
