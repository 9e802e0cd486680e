"""The warm host: forks a process per promise, in which the plugin is imported as the partition's user.

    python3 -I vowhost.py MODULES FD [PATH…]

MODULES: the folder of this file, with the modules that vow offers to plugins. FD: a stream socket to the agent. PATH: what
the release's promises put before sys.path; only modules that nobody but root can change are there, since this process
imports from it. The process has one thread: a fork of several would leave locks held for ever.

A message on the socket is a length (4 bytes, big endian) and a JSON object; to the agent, the length of the object in
another 4 bytes and, after it, the result as the child wrote it, which is not looked at here.
"""
import ctypes
import gc
import importlib
import importlib.machinery
import json
import logging.handlers  # noqa: F401
import os
import selectors
import signal
import socket
import struct
import sys
import time
from collections import deque

MAX_CHILDREN = 64  # at once; more wait
MAX_FRAME = 1 << 20  # bytes of a message
MAX_RESULT = 768 << 10  # bytes of a child's result
MAX_OUTPUT = 64 << 20  # bytes that a promise may print
KEPT_OUTPUT = 20000  # bytes of it that are told
CHUNK = 1 << 16
NONCE = 16
CODE = struct.Struct(">qqqq")  # before the code of a promise's file: mtime, ctime, size, inode
MAX_CODE = 256 << 10  # bytes of one
MAX_CODES = 16 << 20  # bytes of all
MAX_FILES = 1024  # descriptors; three per child, and some

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 36, 38
libc = ctypes.CDLL(None, use_errno=True)


class Offered:
    """Finds, after everything else failed, the modules that vow offers.

    They are read once, here: a partition's user need not be able to read the agent's folder.
    """

    def __init__(self, folder):
        self.codes = {}
        for top in ("slapos", "zope"):
            for where, _, files in os.walk(os.path.join(folder, top)):
                for file in files:
                    path = os.path.join(where, file)
                    name, extension = os.path.splitext(os.path.relpath(path, folder))
                    package = os.path.basename(name) == "__init__"
                    if extension == ".py":
                        with open(path, "rb") as f:
                            code = compile(f.read(), path, "exec")
                        self.codes[(os.path.dirname(name) if package else name).replace(os.sep, ".")] = code, package

    def find_spec(self, name, path=None, target=None):
        if name not in self.codes:
            return None
        code, package = self.codes[name]
        spec = importlib.machinery.ModuleSpec(name, self, origin=code.co_filename, is_package=package)
        if package:
            spec.submodule_search_locations.append("<vow>")  # no folder: this finder goes by names
        return spec

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.codes[module.__name__][0], module.__dict__)


class Warm:
    """Finds, before everything else, what the host has imported already.

    The head of a generated promise removes all modules with `slapos` in their name, to have them from the release's path;
    the host has them from the same path.
    """

    def __init__(self):
        self.modules = {n: m for n, m in sys.modules.items() if n.partition(".")[0] in ("slapos", "zope")}

    def find_spec(self, name, path=None, target=None):
        if name not in self.modules:
            return None
        was = self.modules[name].__spec__
        return importlib.machinery.ModuleSpec(name, self, origin=was.origin, is_package=was.submodule_search_locations is not None)

    def create_module(self, spec):
        return self.modules[spec.name]

    def exec_module(self, module):
        pass


class Codes:
    """What promises' files were compiled to, so that the next execution does not compile again.

    A child compiles, as the partition's user, and hands over bytes; they are not looked at here, and only handed to a child
    of the same file and user, which could as well have made them.
    """

    def __init__(self):
        self.known, self.size = {}, 0  # oldest first

    @staticmethod
    def key(request):
        return request["path"], (request.get("user") or {}).get("uid")

    def find(self, request):
        return self.known.get(self.key(request))

    def keep(self, request, data):
        key = self.key(request)
        self.drop(key)
        if CODE.size < len(data) <= MAX_CODE:
            self.known[key] = CODE.unpack_from(data), data[CODE.size:]
            self.size += len(data)
            while self.size > MAX_CODES:
                self.drop(next(iter(self.known)))

    def drop(self, key):
        if key in self.known:
            self.size -= len(self.known.pop(key)[1]) + CODE.size


class Child:
    """One promise that is being sensed."""

    __slots__ = ("request", "pid", "pidfd", "result_fd", "output_fd", "deadline", "began", "nonce", "result", "output", "printed", "how")


class Host:
    def __init__(self, modules, control, paths):
        self.control, self.paths = control, paths
        self.selector = selectors.DefaultSelector()
        self.children, self.waiting = {}, deque()
        self.incoming, self.outgoing = bytearray(), bytearray()
        self.known = {}  # what was tried to import beforehand
        self.codes = Codes()
        self.sweep_at = None
        sys.dont_write_bytecode = True
        sys.path[0:0] = paths
        sys.meta_path.append(Offered(modules))
        sys.path_importer_cache.clear()
        import slapos.grid.promise.generic
        import slapos.promise.plugin.util  # noqa: F401
        import vowsense
        import zope.interface  # noqa: F401

        sys.path.remove(modules)

        self.sense = vowsense.sense
        vowsense.rehearse()
        self.null = os.open("/dev/null", os.O_RDWR)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        control.setblocking(False)
        self.selector.register(control, selectors.EVENT_READ, None)
        self.freeze()
        self.send({"id": 0, "how": "ready"})

    def freeze(self):
        """What is warm now is not looked at by the collector again, so that children do not copy its pages."""
        gc.collect()
        gc.freeze()
        self.warm = Warm()

    # The loop.

    def run(self):
        while True:
            for key, events in self.selector.select(self.pause()):
                if key.data is None:
                    if events & selectors.EVENT_READ and not self.read():
                        return self.stop()
                    if events & selectors.EVENT_WRITE:
                        self.write()
                elif key.data[0].pid in self.children:
                    self.hear(*key.data)
            now = time.monotonic()
            for child in [c for c in self.children.values() if c.deadline <= now]:
                self.kill(child, "timeout")
                child.deadline = float("inf")
            if self.sweep_at is not None and self.sweep_at <= now:
                self.sweep()
            while self.waiting and len(self.children) < MAX_CHILDREN:
                self.start(self.waiting.popleft())

    def pause(self):
        times = [c.deadline for c in self.children.values()]
        if self.sweep_at is not None:
            times.append(self.sweep_at)
        return max(0, min(times) - time.monotonic()) if times and min(times) != float("inf") else None

    def stop(self):
        for child in self.children.values():
            self.kill(child, "")

    def read(self):
        try:
            data = self.control.recv(CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        if not data:
            return False
        self.incoming += data
        while len(self.incoming) >= 4:
            size = struct.unpack_from(">I", self.incoming)[0]
            if size > MAX_FRAME:
                return False
            if len(self.incoming) < 4 + size:
                break
            request = json.loads(bytes(self.incoming[4:4 + size]))
            del self.incoming[:4 + size]
            if "cancel" in request:
                self.cancel(request["cancel"])
            else:
                self.waiting.append(request)
        return True

    def cancel(self, number):
        self.waiting = deque(r for r in self.waiting if r["id"] != number)
        for child in self.children.values():
            if child.request["id"] == number:
                self.kill(child, "cancelled")

    def send(self, header, result=b""):
        head = json.dumps(header).encode()
        self.outgoing += struct.pack(">II", 4 + len(head) + len(result), len(head)) + head + result
        self.write()

    def write(self):
        try:
            while self.outgoing:
                del self.outgoing[:self.control.send(self.outgoing)]
        except BlockingIOError:
            pass
        except OSError:
            return  # the agent is gone; reading will tell
        self.selector.modify(self.control, selectors.EVENT_READ | (selectors.EVENT_WRITE if self.outgoing else 0), None)

    # A promise.

    def prepare(self, request):
        """Import what the promise will, once, while it can be shared; a name whose import starts threads is told."""
        for name in request.get("modules", ()):
            if name in self.known or name in request.get("cold", ()):
                continue
            try:
                importlib.import_module(name)
                self.known[name] = True
            except BaseException:
                self.known[name] = False  # the promise will say why, in its own process
            if len(os.listdir("/proc/self/task")) > 1:
                self.send({"id": request["id"], "how": "threads", "output": name})
                self.control.setblocking(True)
                self.write()
                self.stop()
                os._exit(3)
            self.freeze()

    def start(self, request):
        self.prepare(request)
        child = Child()
        child.request, child.nonce, child.began = request, os.urandom(NONCE), time.monotonic()
        child.result, child.output, child.printed, child.how = bytearray(), bytearray(), 0, ""
        child.deadline = child.began + request["timeout"]
        child.result_fd, result = os.pipe()
        child.output_fd, output = os.pipe()
        try:
            child.pid = os.fork()
        except OSError as e:
            for fd in (child.result_fd, result, child.output_fd, output):
                os.close(fd)
            self.send({"id": request["id"], "how": "error", "output": "cannot fork: %s" % e})
            return
        if child.pid == 0:
            self.become(request, result, output, child.nonce)  # does not return
        os.close(result)
        os.close(output)
        child.pidfd = os.pidfd_open(child.pid)
        for fd, what in ((child.result_fd, "result"), (child.output_fd, "output")):
            os.set_blocking(fd, False)
        for fd, what in ((child.pidfd, "end"), (child.result_fd, "result"), (child.output_fd, "output")):
            self.selector.register(fd, selectors.EVENT_READ, (child, what))
        self.children[child.pid] = child

    def become(self, request, result, output, nonce):
        """The child's life. Nothing of the host is reachable in it but memory, which is a copy."""
        me = os.getpid()
        code = 1
        try:
            os.setsid()
            os.dup2(self.null, 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.dup2(result, 3, inheritable=False)  # in the place of the socket to the agent
            os.closerange(4, MAX_FILES)
            gc.enable()
            user = request.get("user")
            if user:
                os.setgroups([])
                os.setresgid(user["gid"], user["gid"], user["gid"])
                os.setresuid(user["uid"], user["uid"], user["uid"])
            libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if user and (os.getresuid() != (user["uid"],) * 3 or os.getresgid() != (user["gid"],) * 3):
                raise PermissionError("cannot become user %d" % user["uid"])
            os.umask(0o027)
            for name in list(os.environ):
                del os.environ[name]
            for name, value in request["environment"].items():
                os.environ[name] = value
            os.chdir(request["directory"])
            if request.get("warm"):
                sys.meta_path.insert(0, self.warm)
            request["code"] = self.codes.find(request)
            answer = self.sense(request)
            if os.getpid() != me:
                os._exit(0)  # a process that the plugin forked came back to here; it has nothing to say
            data = json.dumps(answer, default=str).encode()
            data = nonce + struct.pack(">I", len(data)) + data
            if "learned" in request:
                status, learned = request["learned"]
                if len(learned) <= MAX_CODE - CODE.size and len(data) + MAX_CODE <= MAX_RESULT:
                    data += CODE.pack(*status) + learned
            while data:
                data = data[os.write(3, data):]
            code = 0
        except BaseException as e:
            if os.getpid() == me:
                try:
                    sys.stderr.write("%s: %s\n" % (type(e).__name__, e))
                except BaseException:
                    pass
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            except BaseException:
                pass
            os._exit(code)

    def hear(self, child, what):
        if what == "end":
            return self.ended(child)
        self.drain(child, what, CHUNK)

    def drain(self, child, what, limit):
        """Read what a child wrote, at most limit bytes; false when there is no more for now."""
        fd = child.result_fd if what == "result" else child.output_fd
        try:
            data = os.read(fd, limit)
        except BlockingIOError:
            return False
        if not data:
            self.unwatch(fd)
            return False
        if what == "result":
            child.result += data
            if len(child.result) > MAX_RESULT:
                self.kill(child, "result")
                child.result.clear()
        else:
            child.printed += len(data)
            child.output += data
            if len(child.output) > 2 * KEPT_OUTPUT:
                del child.output[:-KEPT_OUTPUT]
            if child.printed > MAX_OUTPUT:
                self.kill(child, "output")
        return True

    def unwatch(self, fd):
        try:
            self.selector.unregister(fd)
        except KeyError:
            pass  # it was at its end before

    def kill(self, child, how):
        """End a promise with all of its process group; the first reason stands."""
        child.how = child.how or how
        for send in (os.killpg, os.kill):
            try:
                send(child.pid, signal.SIGKILL)
            except OSError:
                pass

    def ended(self, child):
        try:
            os.killpg(child.pid, signal.SIGKILL)  # what it left; it is not reaped, so the number is still its own
        except OSError:
            pass
        status = os.waitpid(child.pid, 0)[1]
        del self.children[child.pid]
        for fd, what in ((child.result_fd, "result"), (child.output_fd, "output")):
            for _ in range(64):
                if not self.drain(child, what, CHUNK):
                    break
        for fd in (child.pidfd, child.result_fd, child.output_fd):
            self.unwatch(fd)
            os.close(fd)
        result, learned, data = b"", b"", bytes(child.result)
        if data[:NONCE] == child.nonce and len(data) >= NONCE + 4:
            size = struct.unpack_from(">I", data, NONCE)[0]
            end = NONCE + 4 + size
            if len(data) >= end:
                result, learned = data[NONCE + 4:end], data[end:]
        how, code = child.how, 0
        if not how:
            if os.WIFSIGNALED(status):
                how, code = "signal", os.WTERMSIG(status)
            elif os.WEXITSTATUS(status) or not result:
                how, code = "exit", os.WEXITSTATUS(status)
            else:
                how = "result"
                if learned:
                    self.codes.keep(child.request, learned)
        self.send({
            "id": child.request["id"], "how": how, "code": code,
            "output": bytes(child.output[-KEPT_OUTPUT:]).decode("utf-8", "replace"),
        }, result if how == "result" else b"")
        self.sweep()

    def sweep(self):
        """End what left its promise's process group and lost its parent: this process adopted it."""
        self.sweep_at = None
        try:
            with open("/proc/self/task/%d/children" % os.getpid()) as f:
                adopted = [int(p) for p in f.read().split() if int(p) not in self.children]
        except OSError:
            return
        for pid in adopted:
            try:
                with open("/proc/%d/stat" % pid) as f:
                    state, _, _, session = f.read().rpartition(")")[2].split()[:4]
                if int(session) in self.children:
                    continue  # it ends with its promise
                if state != "Z":
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except OSError:
                continue
            self.sweep_at = time.monotonic() + 0.05  # until it is reaped, with what it leaves in its turn


def main():
    modules, fd, paths = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    sys.path.append(modules)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # a library that starts threads when it is imported cannot be forked with
    Host(modules, socket.socket(fileno=fd), paths).run()


if __name__ == "__main__":
    main()
