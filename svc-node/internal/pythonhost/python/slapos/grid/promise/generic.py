"""GenericPromise: what every Python promise comes from.

An execution of a sensor writes lines to <log folder>/<title>.log:

    2026-11-22 01:20:00 - ERROR - 1795310400-123 - the message

Local time, level, an id that all lines of one execution share, text. A line that does not look so continues the one before.
The lines of one id are one group; test() and anomaly() decide with the newest groups, so the log is the promise's memory.
"""
import abc
import datetime
import json
import logging
import os
import random
import re
import time

from slapos.util import string_to_boolean

PROMISE_STATE_FOLDER_NAME = ".slapgrid/promise"
PROMISE_RESULT_FOLDER_NAME = ".slapgrid/promise/result"
PROMISE_LOG_FOLDER_NAME = ".slapgrid/promise/log"
PROMISE_HISTORY_RESULT_FOLDER_NAME = ".slapgrid/promise/history"
PROMISE_PARAMETER_NAME = "extra_config_dict"

# Levels of entries that make a group failed.
ERROR_LEVEL = ("ERROR", "CRITICAL")

DEFAULT_PERIODICITY = 2  # minutes
MAX_MESSAGE = 5000  # characters of a result's message
MAX_LOG_OF_RUN = 1 << 20  # bytes that one execution may write to the log; the rest is dropped
MAX_LOG = 10 << 20  # bytes of a log before it becomes <title>.log.1
MAX_KEPT = 1000  # entries that are kept in memory of one execution

DATE_FORMAT = "%Y-%m-%d %H:%M:%S"
RESULT_DATE_FORMAT = "%Y-%m-%dT%H:%M:%S+0000"
_LINE = re.compile(r"(\d{4}-\d{2}-\d{2}\s+\d{2}:\d{2}:\d{2})\s+\-?\s*(\w+)\s+\-?\s+(\d+\-\d{3})\s+\-?\s*(.*)")


def cut(message):
    """The end of a message, where people put the error."""
    if message is not None and len(message) > MAX_MESSAGE:
        return "..." + message[-MAX_MESSAGE:]
    return message


class BaseResult:
    """What a promise decided."""

    type = "Result"

    def __init__(self, problem=False, message=None, date=None):
        """problem: true when it failed; message: why, for people; date: when, UTC (default now)."""
        self.__problem = problem
        self.__message = cut(message)
        self.__date = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) if date is None else date

    def hasFailed(self):
        """True when the promise failed."""
        return self.__problem

    @property
    def message(self):
        """Why, for people; the last 5000 characters."""
        return self.__message

    @property
    def date(self):
        """When it was decided, UTC."""
        return self.__date


class TestResult(BaseResult):
    """What test() answers. Answered by anomaly() it fails without a bang."""

    __test__ = False  # not a test for pytest
    type = "Test Result"


class AnomalyResult(BaseResult):
    """What anomaly() answers; a failed one bangs."""

    type = "Anomaly Result"


class EmptyResult(BaseResult):
    """Nothing was asked of the promise."""

    type = "Empty Result"


class PromiseQueueResult:
    """A result on its way from the promise's process, with whose it is."""

    def __init__(self, path=None, name=None, title=None, item=None, execution_time=0):
        self.path, self.name, self.title, self.item, self.execution_time = path, name, title, item, execution_time

    def serialize(self):
        """The content of a result file."""
        return {
            "title": self.title, "name": self.name, "path": self.path, "execution-time": self.execution_time,
            "result": {
                "type": self.item.type, "failed": bool(self.item.hasFailed()), "message": self.item.message,
                "date": self.item.date.strftime(RESULT_DATE_FORMAT),
            },
        }

    def load(self, data):
        """Take what serialize gave; ValueError if that is something else."""
        result = data["result"]
        kinds = {k.type: k for k in (TestResult, AnomalyResult)}
        if result["type"] not in kinds:
            raise ValueError("unknown type of result %r" % (result["type"],))
        self.title, self.name, self.path, self.execution_time = data["title"], data["name"], data["path"], data["execution-time"]
        date = datetime.datetime.strptime(result["date"], RESULT_DATE_FORMAT)
        self.item = kinds[result["type"]](result["failed"], result["message"], date)


class _Memory(logging.Handler):
    """Keeps the entries of this execution: the newest MAX_KEPT, and any failure among those that gave way."""

    def __init__(self):
        super().__init__()
        self.entries, self.dropped, self.dropped_failure = [], 0, None

    def emit(self, record):
        try:
            message = record.getMessage()
            if record.exc_info:
                message += "\n" + logging.Formatter().formatException(record.exc_info)
        except Exception as e:  # a format string that does not fit its arguments
            message = "%s (cannot be formatted: %s)" % (record.msg, e)
        self.entries.append((datetime.datetime.fromtimestamp(int(record.created)), record.levelname, message))
        if len(self.entries) > MAX_KEPT:
            gone = self.entries.pop(0)
            self.dropped += 1
            if gone[1] in ERROR_LEVEL and self.dropped_failure is None:
                self.dropped_failure = gone


class _LogFile(logging.FileHandler):
    """The log file, of which one execution writes at most MAX_LOG_OF_RUN."""

    left = MAX_LOG_OF_RUN

    def emit(self, record):
        if self.left <= 0:
            return
        self.left -= 200 + len(str(record.msg))
        super().emit(record)
        if self.left <= 0:
            super().emit(logging.makeLogRecord({"levelname": "WARNING", "msg": "more than %d bytes are not logged" % MAX_LOG_OF_RUN}))

    def handleError(self, record):
        """A log that cannot be written (a full disk) must not fail the promise: its entries are in memory too."""


def _reversed_lines(path, chunk=1 << 16):
    """The lines of a file, last first, without their ends."""
    with open(path, "rb") as f:
        at = f.seek(0, os.SEEK_END)
        rest = b""
        while at > 0:
            size = min(chunk, at)
            at -= size
            f.seek(at)
            lines = (f.read(size) + rest).split(b"\n")
            rest = lines[0]
            for line in reversed(lines[1:]):
                yield line.decode("utf-8", "replace")
        if rest:
            yield rest.decode("utf-8", "replace")


def _reversed_entries(lines):
    """(date text, level, id, message) of lines that come last first."""
    more = []
    for line in lines:
        match = _LINE.match(line)
        if not match:
            more.append(line)
            continue
        date, level, execution, message = match.groups()
        yield date, level, execution, "\n".join([message] + more[::-1]).rstrip()
        more = []


class GenericPromise(metaclass=abc.ABCMeta):
    """A promise. Its subclass is called RunPromise, has sense() and may have its own test() and anomaly()."""

    def __init__(self, config):
        """config: by key, what this promise is told: see getConfig."""
        config = dict(config)
        self.__log_folder = config.pop("log-folder", None)
        self.__partition_folder = config.pop("partition-folder", None)
        self.__debug = config.pop("debug", False)
        self.__name = config.pop("name", None)
        self.__path = config.pop("path", None)
        self.__queue = config.pop("queue", None)
        self.__title = os.path.splitext(self.__name)[0] if self.__name else None
        self.__tested = self.__anomaly_detected = True
        self.__periodicity = None
        self.setPeriodicity(float(config.pop("periodicity", DEFAULT_PERIODICITY)))
        # What was said with allowBang before this point is lost: that is how it has always been.
        self.__bang = string_to_boolean(config.pop("bang-on-failure", True))
        self.__config = config
        self.__execution = "%d-%d" % (time.time(), random.randint(100, 999))
        self.__memory = _Memory()
        self.__log_file = None
        self.logger = logging.Logger("RunPromise", logging.DEBUG if self.__debug else logging.INFO)
        self.logger.addHandler(self.__memory)
        if self.__log_folder is not None:
            self.__log_file = os.path.join(self.__log_folder, self.__title + ".log")
            self.__open_log()

    def __open_log(self):
        try:
            if os.path.getsize(self.__log_file) > MAX_LOG:
                os.replace(self.__log_file, self.__log_file + ".1")
        except OSError:
            pass  # there is none yet
        handler = _LogFile(self.__log_file, encoding="utf-8", errors="backslashreplace")
        handler.setFormatter(logging.Formatter("%(asctime)s - %(levelname)s - " + self.__execution + " - %(message)s", DATE_FORMAT))
        self.logger.addHandler(handler)

    # What it is.

    def getConfig(self, key, default=None):
        """What is set for key: extra_config_dict, and partition-id, computer-id, master-url, partition-cert, partition-key,
        promise-timeout, slapgrid-version."""
        return self.__config.get(key, default)

    def setConfig(self, key, value):
        """Set a key for this execution."""
        self.__config[key] = value

    def getTitle(self):
        """The name without its extension."""
        return self.__title

    def getName(self):
        """The name of the promise's file."""
        return self.__name

    def getPromiseFile(self):
        """The path of the promise's file."""
        return self.__path

    def getPartitionFolder(self):
        """The partition's directory."""
        return self.__partition_folder

    def getLogFolder(self):
        """Where logs are; None = nowhere."""
        return self.__log_folder

    def getLogFile(self):
        """The path of the log; None = there is none."""
        return self.__log_file

    # What it declares, in __init__.

    def setPeriodicity(self, minute):
        """Sense every so many minutes; fractions are allowed, zero and less are not."""
        if minute <= 0:
            raise ValueError("Cannot set promise periodicity to a value less than or equal to 0")
        self.__periodicity = minute

    def getPeriodicity(self):
        """Minutes between two executions."""
        return self.__periodicity

    def setTestLess(self):
        """Never test it in a run."""
        self.__tested = False

    def setAnomalyLess(self):
        """Never look for an anomaly between runs."""
        self.__anomaly_detected = False

    def isTested(self):
        """False after setTestLess()."""
        return self.__tested

    def isAnomalyDetected(self):
        """False after setAnomalyLess()."""
        return self.__anomaly_detected

    def allowBang(self, allow):
        """allow: whether a failed AnomalyResult bangs. To be called after GenericPromise.__init__."""
        self.__bang = bool(allow)

    def isBangAllowed(self):
        """Whether a failed AnomalyResult bangs."""
        return self.__bang

    # What it recorded.

    def getLastPromiseResultList(self, latest_minute=0, result_count=1, only_failure=False):
        """Groups, newest first; in a group its entries as they were logged: {"date", "status", "message"}.

        latest_minute: older entries end the search, 0 = no limit. only_failure: leave out entries that are no failure (a
        group may then be empty).
        """
        if self.__log_file is None:
            entries = self.__memory.entries
            limit = self.__oldest(latest_minute)
            group = [
                {"date": date, "status": level, "message": message.rstrip()} for date, level, message in entries
                if (not only_failure or level in ERROR_LEVEL) and (limit is None or date.strftime(DATE_FORMAT) > limit)
            ]
            return [group] if group else []
        groups, group, current = [], [], None
        for date, level, execution, message in self.__logged(latest_minute):
            if current is not None and execution != current:
                groups.append(group[::-1])
                group = []
                if len(groups) >= result_count:
                    return groups
            current = execution
            if not only_failure or level in ERROR_LEVEL:
                group.append({"date": datetime.datetime.fromisoformat(" ".join(date.split())), "status": level, "message": message})
        if group:
            groups.append(group[::-1])
        return groups

    @staticmethod
    def __oldest(latest_minute):
        if not latest_minute:
            return None
        return (datetime.datetime.now() - datetime.timedelta(minutes=latest_minute)).strftime(DATE_FORMAT)

    def __logged(self, latest_minute):
        """Entries of the log and of the one before it, last first."""
        oldest = self.__oldest(latest_minute)
        for path in (self.__log_file, self.__log_file + ".1"):
            if not os.path.exists(path):
                return
            for entry in _reversed_entries(_reversed_lines(path)):
                if oldest is not None and entry[0] <= oldest:
                    return
                yield entry

    def __decide(self, kind, result_count, failure_amount, latest_minute):
        groups = self.getLastPromiseResultList(latest_minute, result_count)
        if not groups:
            return kind(False, "No result found!")
        failures = [any(e["status"] in ERROR_LEVEL for e in group) for group in groups]
        failed = failures[0] and failure_amount > 0 and sum(failures) >= failure_amount
        return kind(failed, "\n".join(e["message"] for e in groups[0]))

    def _test(self, result_count=1, failure_amount=1, latest_minute=0):
        """TestResult: failed when the newest group failed and at least failure_amount of the result_count newest ones did."""
        return self.__decide(TestResult, result_count, failure_amount, latest_minute)

    def _anomaly(self, result_count=1, failure_amount=1, latest_minute=0):
        """AnomalyResult, decided as _test does."""
        return self.__decide(AnomalyResult, result_count, failure_amount, latest_minute)

    # What a subclass writes.

    @abc.abstractmethod
    def sense(self):
        """Look, and log what is seen: error and critical are failures. What it raises is logged as an error."""

    def test(self):
        """Asked in a run: TestResult."""
        return self._test()

    def anomaly(self):
        """Asked between runs: AnomalyResult, or TestResult to fail without a bang."""
        return self._anomaly()

    # How a launcher executes it.

    def run(self, check_anomaly=False, can_bang=True):
        """Sense, decide, put a PromiseQueueResult into the queue, and bang if that is due.

        check_anomaly: ask anomaly(), not test(). can_bang: False when another promise of this pass failed so before.
        """
        began = time.time()
        kind = AnomalyResult if check_anomaly else TestResult
        if not self.__tested and not self.__anomaly_detected:
            self.__send(kind(True, "It's not allowed to disable both Test and Anomaly in promise!"), began)
            return
        if not (self.__anomaly_detected if check_anomaly else self.__tested):
            self.__send(EmptyResult(), began)
            return
        try:
            self.sense()
        except Exception as e:
            self.logger.error(str(e))
        try:
            result = self.anomaly() if check_anomaly else self.test()
            if result is None:
                raise ValueError("Promise %s returned no result" % ("anomaly()" if check_anomaly else "test()"))
            failed = result.hasFailed()
        except Exception as e:
            self.__send(kind(True, str(e)), began)
            return
        if check_anomaly and can_bang and failed and isinstance(result, AnomalyResult):
            self.__call_bang()
        self.__send(result, began)

    def __send(self, result, began):
        for handler in self.logger.handlers:
            handler.flush()
        self.__queue.put(PromiseQueueResult(self.__path, self.__name, self.__title, result, time.time() - began))

    def __call_bang(self):
        keys = ("master-url", "computer-id", "partition-id")
        if not self.__bang or not all(k in self.__config for k in keys):
            return
        try:
            import slapos.slap

            slap = slapos.slap.slap()
            slap.initializeConnection(self.__config["master-url"], self.__config.get("partition-key"), self.__config.get("partition-cert"))
            partition = slap.registerComputerPartition(self.__config["computer-id"], self.__config["partition-id"])
            partition.bang("Promise %s is failing" % self.__title)
            self.logger.info("bang was called for promise %s" % self.__title)
        except Exception as e:
            self.logger.warning("cannot bang: %s" % e)


def write_result(folder, result):
    """Write a result file, if it would say something new. folder: the partition's."""
    path = os.path.join(folder, PROMISE_RESULT_FOLDER_NAME, result.title + ".status.json")
    new = result.serialize()
    try:
        with open(path, encoding="utf-8") as f:
            old = json.load(f)
        said = ("type", "failed", "message")
        if old["path"] == new["path"] and all(old["result"][k] == new["result"][k] for k in said):
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass  # there is none yet, or none that can be read
    with open(path + ".tmp", "w", encoding="utf-8", errors="backslashreplace") as f:
        json.dump(new, f)
    os.replace(path + ".tmp", path)
