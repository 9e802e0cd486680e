"""One execution of a Python promise, in the process forked for it: sense, then its own verdicts, then the result.

Imported by the host while it is still root, so that the child has it at hand; what runs here is the partition's user's.
"""
import collections
import json
import logging
import marshal
import math
import os
import shutil
import sys
import tempfile
import time
import types

MAX_ENTRIES = 100  # of a group
MAX_MESSAGE = 5000  # characters
SETTLED = 0.1  # seconds, many ticks of a file system's clock, since the last change of a file whose code is kept
RESERVED = "Extra parameter name %r cannot be used.\n%s"
FAILURES = ("ERROR", "CRITICAL")


def text(value):
    """A message as valid text without more than its last 5000 characters."""
    value = str(value).encode("utf-8", "replace").decode("utf-8", "replace")
    return value if len(value) <= MAX_MESSAGE else "..." + value[3 - MAX_MESSAGE:]


class Record(logging.Handler):
    """What the promise logs: the newest entries, and the first failure of those that gave way to them."""

    def __init__(self):
        super().__init__()
        self.entries, self.dropped, self.failure = collections.deque(), 0, None

    def emit(self, record):
        try:
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception as e:
            message = "%s (cannot be formatted: %s)" % (record.msg, e)
        self.entries.append((record.levelname, text(message)))
        if len(self.entries) > MAX_ENTRIES - 2:
            gone = self.entries.popleft()
            self.dropped += 1
            if self.failure is None and gone[0] in FAILURES:
                self.failure = gone

    def all(self):
        """The entries of the group."""
        first = [self.failure] if self.failure else []
        if self.dropped:
            first.append(("WARNING", "%d older entries are left out" % (self.dropped - len(first))))
        return first + list(self.entries)


class Value(logging.Handler):
    """The number among the data that a JSONPromise keeps, if it is the only one."""

    value = None

    def emit(self, record):
        data = getattr(record, "data", None)
        if isinstance(data, str):
            try:
                data = json.loads(data)
            except ValueError:
                return
        if isinstance(data, dict):
            numbers = [v for v in data.values() if isinstance(v, (int, float)) and not isinstance(v, bool)]
            if len(numbers) == 1 and math.isfinite(numbers[0]):
                self.value = float(numbers[0])


def compiled(request):
    """The code of the promise's file: as an earlier execution compiled it, if the file is still the same.

    What this one compiled is left in request["learned"] for the next. A file that changed a moment ago is not: it may change
    once more without a later time.
    """
    path = request["path"]
    with open(path, "rb") as f:
        status = os.fstat(f.fileno())
        key = (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)
        known = request.get("code")
        if known and known[0] == key:
            return marshal.loads(known[1])
        code = compile(f.read(), path, "exec")
    if time.time() - status.st_ctime > SETTLED:
        request["learned"] = key, marshal.dumps(code)
    return code


def load(request, config):
    """The RunPromise of the promise's file, and the GenericPromise that it comes from."""
    title = os.path.splitext(request["name"])[0]
    module = types.ModuleType(title)
    module.__file__ = request["path"]
    sys.modules[title] = module
    exec(compiled(request), module.__dict__)
    kind = getattr(module, "RunPromise", None)
    if not isinstance(kind, type):
        raise AttributeError("there is no class RunPromise in it")
    # Not "our" GenericPromise: a release may bring its own, and its modules win.
    generic = [k for k in kind.__mro__ if k.__name__ == "GenericPromise" and k.__module__ == "slapos.grid.promise.generic"]
    if not generic:
        raise RuntimeError("RunPromise class is not a subclass of GenericPromise class.")
    from slapos.grid.promise import interface

    if not interface.IPromise.implementedBy(kind):
        raise RuntimeError(
            "RunPromise class in %s must implement 'IPromise' interface. @implementer(interface.IPromise) is missing ?" % request["name"])
    extra = getattr(module, "extra_config_dict", None) or {}
    for key in extra:
        if key in config:
            raise ValueError(RESERVED % (key, extra))
    config.update(extra)
    return kind, generic[0]


def verdict(promise, method):
    """What the promise's own test() or anomaly() says: (failed, message, bangs)."""
    try:
        result = getattr(promise, method)()
        if result is None:
            raise ValueError("%s() returned no result" % method)
        failed = bool(result.hasFailed())
        return failed, text(result.message or ""), type(result).__name__ == "AnomalyResult", result
    except Exception as e:
        # It fails, but it does not bang: nobody knows what it would have said.
        return True, text("%s() raised %s: %s" % (method, type(e).__name__, e)), False, None


def log_folder(request, folder):
    """Where the promise's log is."""
    return request.get("log_folder") or os.path.join(folder, "log")


def lost(request, folder):
    """An execution that gave no result (it was killed) is told in the promise's files as one that did."""
    message = request["lost"]
    title = os.path.splitext(request["name"])[0]
    keep(request, folder, (True, message), request["timeout"])
    line = "%s - ERROR - %d-%03d - %s\n" % (time.strftime("%Y-%m-%d %H:%M:%S"), time.time(), 100 + os.getpid() % 900, message)
    with open(os.path.join(log_folder(request, folder), title + ".log"), "a", encoding="utf-8", errors="backslashreplace") as f:
        f.write(line)
    return {}


def raised(e):
    """What sense() raised, with where: an author reads neither "'x'" nor nothing as a KeyError in line 12."""
    said = str(e)
    kind = type(e).__name__
    at = e.__traceback__.tb_next  # the first frame is our own
    if at is None:
        return said or kind
    path, line = at.tb_frame.f_code.co_filename, at.tb_lineno
    while at is not None:
        if at.tb_frame.f_code.co_filename == path:
            line = at.tb_lineno
        at = at.tb_next
    return "%s (%s, %s line %d)" % (said, kind, os.path.basename(path), line) if said else "%s (%s line %d)" % (kind, os.path.basename(path), line)


def sense(request):
    """Execute the promise of a request; its result as a dictionary."""
    began = time.time()
    folder = os.path.join(request["directory"], ".slapgrid", "promise")
    if "lost" in request:
        return lost(request, folder)
    notes = []
    try:
        log = log_folder(request, folder)
        if not request.get("dry"):
            for path in (log, os.path.join(folder, "result")):
                os.makedirs(path, 0o750, exist_ok=True)
        if not os.access(log, os.W_OK):
            raise PermissionError("%s is not writable" % log)
    except OSError as e:
        log = None
        notes.append(("WARNING", "the promise has no log: %s" % e))
    config = dict(request["config"])
    config.update({
        "log-folder": log, "partition-folder": request["directory"], "debug": request.get("debug", False), "name": request["name"], "path": request["path"],
        "queue": None, "promise-timeout": request["timeout"], "slapgrid-version": "vow",
    })
    try:
        kind, generic = load(request, config)
        bang = str(config.get("bang-on-failure", "true")).strip().lower() not in ("false", "0", "no", "off")
        promise = kind(config)
    except BaseException as e:
        # SystemExit too: a plugin that exits while it is imported has not passed.
        return finish(request, folder, {"error": "%s: %s" % (type(e).__name__, text(e))})
    for key in ("_%s__bang" % generic.__name__, "_%s__allow_bang" % generic.__name__):
        bang = bool(getattr(promise, key, bang))
    result = {
        "period": float(promise.getPeriodicity()) * 60, "bang_disabled": not bang,
        "testless": not promise.isTested(), "anomalyless": not promise.isAnomalyDetected(),
    }
    record, value = Record(), Value()
    promise.logger.addHandler(record)
    if hasattr(promise, "json_logger"):
        promise.json_logger.addHandler(value)
    if result["testless"] and result["anomalyless"]:
        promise.logger.error("It's not allowed to disable both Test and Anomaly in promise!")
    else:
        try:
            promise.sense()
        except Exception as e:
            promise.logger.error("%s", raised(e))
    for handler in promise.logger.handlers:
        handler.flush()
    result["entries"] = notes + record.all()
    result["value"] = value.value
    shown = None
    for method, off in (("test", "testless"), ("anomaly", "anomalyless")):
        own = getattr(kind, method) is not getattr(generic, method)
        wanted = request["anomaly"] == (method == "anomaly")
        if result[off] or not (own or wanted):
            continue
        if not own and record.entries:
            # What the default decides of this group, without reading it back from the log.
            shown = any(level in FAILURES for level, _ in record.all()), text("\n".join(m for _, m in record.all()))
            continue
        failed, message, bangs, answer = verdict(promise, method)
        if own:
            result["own_" + method] = {"failed": failed, "message": message, "anomaly_result": bangs}
        if wanted:
            shown = answer or failed, message
    if shown is not None:
        keep(request, folder, shown, time.time() - began)
    return result


PLAY = """from zope.interface import implementer
from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise

@implementer(interface.IPromise)
class RunPromise(GenericPromise):
    def sense(self):
        self.logger.error("%s", self.getConfig("name"))
"""


def rehearse():
    """Sense a promise of our own once, in the host: what is imported, compiled and cached on the way every child has then.

    It halves what a promise costs.
    """
    folder = tempfile.mkdtemp(prefix="vow-host-")
    try:
        path = os.path.join(folder, "vow_rehearsal.py")
        with open(path, "w") as f:
            f.write(PLAY)
        for anomaly in (True, False):
            json.dumps(sense({
                "name": "vow_rehearsal.py", "path": path, "directory": folder, "timeout": 1, "anomaly": anomaly, "config": {},
            }))
    except Exception as e:
        sys.stderr.write("the rehearsal failed: %s\n" % e)  # children do the same, slower, and tell what is wrong
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sys.modules.pop("vow_rehearsal", None)


def finish(request, folder, result):
    """A promise that could not be executed has a result file that says so."""
    keep(request, folder, (True, result["error"]), 0)
    return result


def keep(request, folder, shown, took):
    """Write the result file, if it says something new; a dry sensing writes none."""
    if request.get("dry"):
        return
    answer, message = shown
    name, title = request["name"], os.path.splitext(request["name"])[0]
    path = os.path.join(folder, "result", title + ".status.json")
    failed = bool(answer.hasFailed()) if hasattr(answer, "hasFailed") else bool(answer)
    kind = type(answer).__name__ if hasattr(answer, "hasFailed") else ""
    anomaly = kind == "AnomalyResult" if kind else request["anomaly"]
    new = {"type": "Anomaly Result" if anomaly else "Test Result", "failed": failed, "message": message}
    try:
        with open(path, encoding="utf-8") as f:
            old = json.load(f)["result"]
        if {k: old.get(k) for k in new} == new:
            return
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    new["date"] = time.strftime("%Y-%m-%dT%H:%M:%S+0000", time.gmtime())
    try:
        temporary = "%s.%d.tmp" % (path, os.getpid())
        with open(temporary, "w", encoding="utf-8") as f:
            json.dump({"title": title, "name": name, "path": request["path"], "execution-time": took, "result": new}, f)
        os.replace(temporary, path)
    except OSError:
        pass  # a full disk must not fail the promise: the group tells the same
