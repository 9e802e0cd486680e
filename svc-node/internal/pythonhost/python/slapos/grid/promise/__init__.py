"""PromiseLauncher: all promises of a partition, one after the other, in one pass.

A node of vow does not use it: it senses through its warm host. It is for tests of promises and for people at a prompt.
"""
import glob
import json
import logging
import multiprocessing
import multiprocessing.connection
import os
import queue
import shutil
import time

from slapos.grid.promise import interface  # noqa: F401
from slapos.grid.promise.generic import (  # noqa: F401
    AnomalyResult, EmptyResult, GenericPromise, PROMISE_LOG_FOLDER_NAME, PROMISE_PARAMETER_NAME,
    PROMISE_RESULT_FOLDER_NAME, PROMISE_STATE_FOLDER_NAME, PromiseQueueResult, TestResult, write_result)
from slapos.grid.promise.process import PROMISE_CACHE_FOLDER_NAME, PromiseProcess
from slapos.util import chownDirectory

DEFAULT_TIMEOUT = 20  # seconds of one promise
_CONFIG = ("debug", "log-folder", "partition-folder", "master-url", "partition-cert", "partition-key", "partition-id", "computer-id")


class PromiseError(Exception):
    """A promise failed; it names the first."""


class PromiseLauncher:
    """One pass over the promises of a partition.

    config: promise-folder and partition-folder (needed), promise-timeout, legacy-promise-folder, log-folder, debug, uid, gid,
    master-url, partition-cert, partition-key, partition-id, computer-id, check-anomaly, force, run-only-promise-list.
    dry_run: no bang, and nothing is written: no log, no result, no cache.
    """

    def __init__(self, config=None, logger=None, dry_run=False):
        config = dict(config or {})
        for key in ("promise-folder", "partition-folder"):
            if not config.get(key):
                raise ValueError("cannot run promises: %s is not set" % key)
        self.config, self.dry_run = config, dry_run
        self.logger = logger or logging.getLogger(__name__)
        self.timeout = float(config.get("promise-timeout") or DEFAULT_TIMEOUT)
        self.check_anomaly, self.force = bool(config.get("check-anomaly")), bool(config.get("force"))
        self.partition = config["partition-folder"]
        self.bang_called = False
        self.queue = multiprocessing.get_context("fork").Queue()
        for folder in () if dry_run else (PROMISE_RESULT_FOLDER_NAME, PROMISE_LOG_FOLDER_NAME, PROMISE_CACHE_FOLDER_NAME):
            os.makedirs(os.path.join(self.partition, folder), exist_ok=True)

    def run(self):
        """Execute what is due; PromiseError if any promise failed, now or when it was executed last."""
        promises = self._list()
        if not self.dry_run:
            self._clean([os.path.splitext(name)[0] for name, _, _ in promises])
        failure, waiting = None, 0
        for name, path, wrap in promises:
            cached = self._cached(name)
            if cached and not cached["is_anomaly_detected" if self.check_anomaly else "is_tested"] and any(
                    (cached["is_anomaly_detected"], cached["is_tested"])):
                continue
            if cached and not self.force and time.time() < cached["next_run_after"]:
                waiting += 1
                result = self._load(name)
                failed = result is not None and result.item.hasFailed()
            else:
                result = self._execute(name, path, wrap)
                failed = self._judge(result)
            if failed and failure is None:
                failure = "Promise %r failed with output: %s" % (name, result.item.message)
        if waiting:
            self.logger.info("%s promises didn't need to be checked.", waiting)
        uid, gid = self.config.get("uid"), self.config.get("gid")
        if uid and gid and not self.dry_run:
            chownDirectory(os.path.join(self.partition, PROMISE_STATE_FOLDER_NAME), uid, gid)
        if failure is not None:
            raise PromiseError(failure)

    def _list(self):
        """(name, path, executable) of all promises."""
        folder, only = self.config["promise-folder"], self.config.get("run-only-promise-list")
        found = []
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if name.endswith(".py") and not name.startswith("__init__") and (not only or name in only):
                found.append((name, os.path.join(folder, name), False))
        folder = self.config.get("legacy-promise-folder")
        for name in sorted(os.listdir(folder)) if folder and not only and os.path.isdir(folder) else []:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and os.access(path, os.X_OK):
                found.append((name, path, True))
            else:
                self.logger.warning("Bad promise file at %r.", path)
        return found

    def _clean(self, titles):
        """Remove what nothing stands for any more, and what is not written any more."""
        for path in glob.glob(os.path.join(glob.escape(self.config["promise-folder"]), "*.py[co]")):
            if not os.path.exists(path[:-1]):
                os.unlink(path)
        if not self.config.get("run-only-promise-list"):
            for path in glob.glob(os.path.join(glob.escape(os.path.join(self.partition, PROMISE_RESULT_FOLDER_NAME)), "*.status.json")):
                if os.path.basename(path)[:-len(".status.json")] not in titles:
                    os.unlink(path)
        state = os.path.join(self.partition, PROMISE_STATE_FOLDER_NAME)
        for name in ("promise_status.json", "promise_result.json", "promise_stats.json"):
            if os.path.exists(os.path.join(state, name)):
                os.unlink(os.path.join(state, name))
        shutil.rmtree(os.path.join(state, "history"), ignore_errors=True)

    def _cached(self, name):
        try:
            with open(os.path.join(self.partition, PROMISE_CACHE_FOLDER_NAME, os.path.splitext(name)[0])) as f:
                cached = json.load(f)
            known = [cached[k] for k in ("is_tested", "is_anomaly_detected", "next_run_after")]
            return cached if all(k is not None for k in known) and os.path.exists(cached["module_file"]) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _load(self, name):
        """The last result of a promise; None = there is none."""
        result = PromiseQueueResult()
        try:
            with open(os.path.join(self.partition, PROMISE_RESULT_FOLDER_NAME, os.path.splitext(name)[0] + ".status.json")) as f:
                result.load(json.load(f))
            return result
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _execute(self, name, path, wrap):
        """The PromiseQueueResult of one promise."""
        arguments = {key: self.config.get(key) for key in _CONFIG}
        arguments.update({"promise-timeout": self.timeout, "slapgrid-version": "vow", "name": name, "path": path, "queue": self.queue})
        if self.dry_run:
            arguments["log-folder"] = None
        process = PromiseProcess(
            self.partition, name, path, arguments, self.logger, self.check_anomaly,
            self.check_anomaly and not self.bang_called and not self.dry_run,
            self.config.get("uid"), self.config.get("gid"), wrap, cache=not self.dry_run)
        began = time.time()
        process.start()
        try:
            result = self.queue.get(True, self.timeout) if self._ready(process, began) else None
        except queue.Empty:
            result = None
        took = time.time() - began
        timed_out = result is None and process.is_alive()
        if result is not None:
            process.join(1)
        process.end()
        if result is not None:
            return result
        if timed_out:
            return self._no_result(name, path, "Error: Promise timed out after %s seconds" % self.config.get("promise-timeout", DEFAULT_TIMEOUT), took)
        return self._no_result(name, path, "Error: No output returned by the promise", took)

    def _ready(self, process, began):
        """Wait for the result or for the end of the process; false when neither came in time, or no result."""
        waited = multiprocessing.connection.wait([self.queue._reader, process.sentinel], max(0, began + self.timeout - time.time()))
        if self.queue._reader in waited:
            return True
        return bool(waited) and self.queue._reader.poll(0.05)

    def _no_result(self, name, path, message, took):
        """What a promise that gave no result is judged by: between runs it may do so once."""
        failed, kind = True, TestResult
        if self.check_anomaly:
            kind, last = AnomalyResult, self._load(name)
            failed = last is not None and (last.item.hasFailed() or "error:" in (last.item.message or "").lower())
        result = PromiseQueueResult(path, name, os.path.splitext(name)[0], kind(failed, message), took)
        return result

    def _judge(self, result):
        """Keep a result; true when it failed."""
        if isinstance(result.item, EmptyResult):
            return False
        self._savePromiseResult(result)
        if not self.dry_run:
            write_result(self.partition, result)
        if not result.item.hasFailed():
            return False
        self.logger.error("%s: %s", result.title, result.item.message)
        if self.check_anomaly and isinstance(result.item, AnomalyResult):
            self.bang_called = True  # it stands for "an anomaly was found": one bang makes all run again
        return True

    def _savePromiseResult(self, result):
        """For those who want to see each PromiseQueueResult."""
