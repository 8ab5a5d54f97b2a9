"""One scenario being tried: its policy, and the handlers that look at the calls of its runs."""

import asyncio
import ctypes
import os
import threading

from sandlock import NotifAction, Sandbox, capi, optional
from sandlock.errors import call
from sandlock.handles import Handle

SIZES = {"memory": "max_memory", "disk": "max_disk", "processes": "max_processes", "nofile": "max_open_files", "cpu-share": "max_cpu"}
TIMES = {"wall": "max_wall_time", "cpu-total": "max_cpu_time"}
FLAGS = {"output-kills": None, "net-updates": "net_updates", "port-remap": "port_remap", "no-coredump": "no_coredump"}
ACCESSES = {
    "read": capi.SANDLOCK_ACCESS_READ,
    "write": capi.SANDLOCK_ACCESS_WRITE,
    "read-execute": capi.SANDLOCK_ACCESS_READ_EXECUTE,
    "read-write": capi.SANDLOCK_ACCESS_READ | capi.SANDLOCK_ACCESS_WRITE,
}


class NoField(Exception):
    """A Sandbox has no field for it; the C API has a function."""


def fields_of(rules):
    """The rules as the fields of a Sandbox."""
    fields = {}

    def add(name, value):
        fields.setdefault(name, []).append(value)

    for verb, *words in rules:
        if verb == "allow-path" and words[0].rstrip("?") in ("read-execute", "read-write"):
            path = optional(words[1]) if words[0].endswith("?") else words[1]
            add("fs_readable" if words[0].startswith("read-execute") else "fs_writable", path)
        elif verb == "clear-env":
            fields["clean_env"] = True
        elif verb in ("set-env", "unset-env"):
            fields.setdefault("env", {})[words[0]] = words[1] if verb == "set-env" else None
        elif verb == "set-cwd":
            fields["cwd"] = words[0]
        elif verb == "allow-syscall":
            add("extra_allow_syscalls", words[0])
        elif verb == "deny-syscall" and words[1] == "1":
            add("extra_deny_syscalls", words[0])
        elif verb == "limit" and words[0] in SIZES:
            fields[SIZES[words[0]]] = int(words[1])
        elif verb == "limit" and words[0] in TIMES:
            fields[TIMES[words[0]]] = int(words[1]) / 1000
        elif verb == "flag" and FLAGS.get(words[0]):
            fields[FLAGS[words[0]]] = True
        elif verb == "strictness" and words[1] in ("disable", "best-effort"):
            add("disable" if words[1] == "disable" else "allow_degraded", words[0])
        elif verb in ("allow-net", "deny-net"):
            add("net_" + verb[: -len("-net")], words[0])
        elif verb in ("allow-bind", "deny-bind"):
            add(f"net_{verb.replace('-', '_')}", words[0])
        else:
            raise NoField(verb)
    return fields


def constant(group, name):
    return getattr(capi, f"SANDLOCK_{group}{name.upper().replace('-', '_')}")


class OwnPolicy(Handle):
    """A policy by the C API."""

    _what = "policy"

    def __init__(self, pointer):
        super().__init__(pointer, capi.sandlock_policy_free)

    @classmethod
    def of_toml(cls, text):
        out, data = ctypes.c_void_p(), text.encode()
        call(capi.sandlock_policy_from_toml, data, len(data), ctypes.byref(out))
        return cls(out.value)

    @classmethod
    def of_rules(cls, rules):
        policy = cls(capi.sandlock_policy_new())
        for verb, *words in rules:
            policy.apply(verb, *words)
        return policy

    def do(self, verb, *arguments):
        call(getattr(capi, f"sandlock_policy_{verb}"), self._pointer, *arguments)

    def apply(self, verb, a="", b=""):
        if verb == "allow-path":
            may_be_missing = capi.SANDLOCK_ACCESS_OPTIONAL if a.endswith("?") else 0
            self.do("allow_path", b.encode(), ACCESSES[a.rstrip("?")] | may_be_missing)
        elif verb == "clear-env":
            self.do("clear_env")
        elif verb in ("set-env", "unset-env"):
            self.do("set_env", a.encode(), b.encode() if verb == "set-env" else None)
        elif verb == "set-umask":
            self.do("set_umask", int(a, 8))
        elif verb == "syscalls":
            self.do("set_syscall_default", constant("SYSCALLS_", a))
        elif verb == "deny-syscall":
            self.do("deny_syscall", a.encode(), int(b))
        elif verb == "limit":
            self.do("set_limit", constant("LIMIT_", a), int(b))
        elif verb == "grace":
            self.do("set_grace", int(a), int(b))
        elif verb == "flag":
            self.do("set_flag", constant("FLAG_", a), True)
        elif verb == "strictness":
            self.do("set_strictness", constant("FEATURE_", a), constant("", b))
        else:
            self.do(verb.replace("-", "_"), a.encode())


class Trial:
    """What all runs of a scenario share."""

    def __init__(self, table, what, tree, ports):
        self.table = table
        self.what = what
        self.tree = tree
        self.values = {"{tree}": tree, "{pid}": os.getpid(), "{port}": ports[0], "{other}": ports[1]}
        self.calls = 0
        self.asked = threading.Event()
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.waiting = []
        self.threads = []
        for name, text in what.all("file"):
            with open(os.path.join(tree, name), "w", encoding="utf-8", newline="") as file:
                file.write(text)

    def expand(self, text, run=0):
        """A text with {tree}, {pid}, {port}, {other} and {n}, the number of the run, as what they stand for."""
        for name, value in (*self.values.items(), ("{n}", run)):
            text = text.replace(name, str(value))
        return text

    def policy(self):
        """A Sandbox if it has fields for all of it, and else a policy by the C API."""
        toml = self.what.all("toml")
        if toml:
            return OwnPolicy.of_toml("".join(self.expand(line) + "\n" for line, in toml))
        rules = [[self.expand(word) for word in rule] for rule in (*self.table.base, *self.what.all("rule"))]
        try:
            return Sandbox(**fields_of(rules))
        except NoField:
            return OwnPolicy.of_rules(rules)

    def handlers(self):
        handlers = {}
        for selector, action, *words in self.what.all("handler"):
            handlers[selector] = self.slow(words) if action == "later-loop" else self.quick(action, words)
        return handlers

    def count_call(self):
        with self.lock:
            self.calls += 1
        self.asked.set()

    def slow(self, words):
        async def handle(ctx):
            self.count_call()
            await asyncio.sleep(0)
            return NotifAction.returns(int(words[0]))

        return handle

    def quick(self, action, words):
        act = getattr(self, "do_" + action.replace("-", "_"))

        def handle(ctx):
            self.count_call()
            return act(ctx, *words)

        return handle

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()
        for pending in self.waiting:
            pending.close()

    # --- what handlers do ---

    def do_value(self, ctx, value):
        return NotifAction.returns(int(value))

    def do_errno(self, ctx, number):
        return NotifAction.errno(int(number))

    def do_pass(self, ctx):
        return NotifAction.continue_()

    do_run = do_pass  # this binding has one answer for both

    def do_throws(self, ctx):
        raise RuntimeError("of the handler")

    def do_silent(self, ctx):
        return None

    def do_kill(self, ctx):
        return NotifAction.kill()

    def do_hangs(self, ctx):
        self.over.wait(30)
        return NotifAction.continue_()

    def do_write(self, ctx, text):
        ctx.write(ctx.args[0], text.encode() + b"\0")
        return NotifAction.returns(0)

    def asks_for(self, ctx, path):
        return ctx.name == "openat" and ctx.read_string(ctx.args[1]) == path.encode()

    def do_bytes(self, ctx, path, text):
        return NotifAction.inject_bytes(text) if self.asks_for(ctx, path) else NotifAction.continue_()

    def do_file(self, ctx, path, name):
        if not self.asks_for(ctx, path):
            return NotifAction.continue_()
        # Closed when nobody has the answer any more.
        return NotifAction.inject_fd_send(open(os.path.join(self.tree, name), "rb"))

    def do_never(self, ctx):
        self.keep_waiting(ctx)

    def do_gather(self, ctx, most, value):
        self.keep_waiting(ctx, int(most), NotifAction.returns(int(value)))

    def keep_waiting(self, ctx, most=0, answer=None):
        with self.lock:
            self.waiting.append(ctx.defer())
            if len(self.waiting) != most:
                return
            all_of_them, self.waiting = self.waiting, []
        for pending in reversed(all_of_them):
            pending.answer(answer)

    def do_later_thread(self, ctx, value):
        self.answer_later(ctx.defer(), NotifAction.returns(int(value)))

    def do_later_errno(self, ctx, number):
        self.answer_later(ctx.defer(), NotifAction.errno(int(number)))

    def answer_later(self, pending, action):
        thread = threading.Thread(target=pending.answer, args=(action,))
        self.threads.append(thread)
        thread.start()
