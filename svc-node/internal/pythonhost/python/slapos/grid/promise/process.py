"""The process of one promise: its module is imported and executed there."""
import json
import multiprocessing
import os
import signal
import sys
import time
import types

from slapos.grid.promise import interface
from slapos.grid.promise.generic import GenericPromise, PROMISE_PARAMETER_NAME, PROMISE_STATE_FOLDER_NAME
from slapos.grid.promise.wrapper import WrapPromise

PROMISE_CACHE_FOLDER_NAME = os.path.join(PROMISE_STATE_FOLDER_NAME, "cache")


def load_promise(path, name, config):
    """Import a promise's file and put its extra_config_dict into config. The module has RunPromise."""
    title, extension = os.path.splitext(name)
    if extension != ".py":
        raise ImportError("No module named %r" % name)
    module = types.ModuleType(title)
    module.__file__ = path
    sys.modules[title] = module
    with open(path, "rb") as f:
        # Compiled here, not imported: no stale bytecode of a file that was written a moment ago, none left behind.
        exec(compile(f.read(), path, "exec"), module.__dict__)
    if not hasattr(module, "RunPromise"):
        raise AttributeError("Class RunPromise not found in promise %s" % name)
    if not interface.IPromise.implementedBy(module.RunPromise):
        raise RuntimeError(
            "RunPromise class in %s must implement 'IPromise' interface. @implementer(interface.IPromise) is missing ?" % name)
    if not issubclass(module.RunPromise, GenericPromise):
        raise RuntimeError("RunPromise class is not a subclass of GenericPromise class.")
    extra = getattr(module, PROMISE_PARAMETER_NAME, None) or {}
    for key in extra:
        if key in config:
            raise ValueError("Extra parameter name %r cannot be used.\n%s" % (key, extra))
    config.update(extra)
    return module


def drop_privileges(uid, gid):
    """Become another user for good. Nothing happens unless the process is root's; root itself is refused."""
    if not uid or not gid or os.getuid() != 0:
        return
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    try:
        os.setuid(0)
    except PermissionError:
        return
    raise ValueError("cannot drop the privileges of root")


class PromiseProcess(multiprocessing.get_context("fork").Process):
    """argument_dict: the config of the promise, to which its extra_config_dict is added."""

    def __init__(self, partition_folder, promise_name, promise_path, argument_dict, logger, check_anomaly=False,
                 allow_bang=True, uid=None, gid=None, wrap=False, cwd=None, cache=True):
        super().__init__(name="PromiseProcess %s" % promise_name)
        self.daemon = False
        self.partition_folder, self.promise_name, self.promise_path = partition_folder, promise_name, promise_path
        self.argument_dict, self.logger = argument_dict, logger
        self.check_anomaly, self.allow_bang, self.uid, self.gid, self.wrap_promise = check_anomaly, allow_bang, uid, gid, wrap
        self.cwd, self.cache = cwd or partition_folder, cache

    def _loadPromiseModule(self):
        """The promise's module; argument_dict has its extra_config_dict then."""
        return load_promise(self.promise_path, self.promise_name, self.argument_dict)

    def getCacheFile(self):
        """Where is kept when the promise is due again."""
        return os.path.join(self.partition_folder, PROMISE_CACHE_FOLDER_NAME, os.path.splitext(self.promise_name)[0])

    def run(self):
        """In the new process."""
        os.setsid()  # so that all it starts can be ended with it
        sys.dont_write_bytecode = True
        try:
            drop_privileges(self.uid, self.gid)
            os.chdir(self.cwd)
            promise = WrapPromise(self.argument_dict) if self.wrap_promise else self._loadPromiseModule().RunPromise(self.argument_dict)
            self._remember(promise)
            promise.run(self.check_anomaly, self.allow_bang)
        except Exception as e:
            from slapos.grid.promise.generic import AnomalyResult, PromiseQueueResult, TestResult

            if self.logger:
                self.logger.exception("promise %s cannot be executed", self.promise_name)
            kind = AnomalyResult if self.check_anomaly else TestResult
            self.argument_dict["queue"].put(PromiseQueueResult(
                self.promise_path, self.promise_name, os.path.splitext(self.promise_name)[0], kind(True, str(e)), 0))

    def _remember(self, promise):
        if not self.cache:
            return
        now = time.time()
        runs = promise.isAnomalyDetected() if self.check_anomaly else promise.isTested()
        path = self.getCacheFile()
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".tmp", "w") as f:
            json.dump({
                "is_tested": promise.isTested(), "is_anomaly_detected": promise.isAnomalyDetected(),
                "periodicity": promise.getPeriodicity(), "timestamp": now,
                "next_run_after": now + promise.getPeriodicity() * 60.0 if runs else now,
                "module_file": self.promise_path, "module_file_mtime": os.stat(self.promise_path).st_mtime,
            }, f)
        os.replace(path + ".tmp", path)

    def end(self):
        """End the process and all that it started."""
        for send in (os.killpg, os.kill):
            try:
                send(self.pid, signal.SIGKILL)
            except OSError:
                pass  # it has no group yet, or is gone
        self.join()
