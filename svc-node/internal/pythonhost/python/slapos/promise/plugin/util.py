"""JSONPromise, and the reading of logs that have one JSON object a line: {"time", "log_level", "message", "data"}."""
import datetime
import itertools
import json
import logging
import os

from slapos.grid.promise.generic import GenericPromise, _reversed_lines


def iter_reverse_lines(f):
    """The lines of a file that is open for reading bytes, last first."""
    for line in _reversed_lines(f.name):
        if line:
            yield line.encode()


def iter_logrotate_file_handle(path, mode="r"):
    """The log at path, then what it was rotated to (path.1, path.2, …), each open."""
    for number in itertools.count():
        try:
            with open(path + (".%d" % number if number else ""), mode) as f:
                yield f
        except OSError:
            return


def tail_file(path, line_count=10):
    """The last lines of a file, as one text."""
    lines = _reversed_lines(path)
    last = next(lines, "")  # empty after a line that is complete
    found = ([last] if last else []) + list(itertools.islice(lines, line_count))
    return "\n".join(found[:line_count][::-1])


def _time(text):
    """When an entry was logged, in local time without a zone."""
    text = text.replace(",", ".")
    try:
        when = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        from dateutil import parser

        when = parser.parse(text)
    return when.astimezone().replace(tzinfo=None) if when.tzinfo else when


def _entry(line):
    try:
        return json.loads(line)
    except ValueError:
        return json.loads(line.replace(b"'", b'"'))  # SlapOS wrote data as Python shows it


def _entries(path):
    for f in iter_logrotate_file_handle(path, "rb"):
        for line in iter_reverse_lines(f):
            try:
                entry = _entry(line)
                yield _time(entry["time"]), entry
            except (ValueError, KeyError, TypeError):
                continue  # a line that was cut off is no reason to know nothing


def get_json_log_data_interval(json_log_file, interval):
    """`data` of the entries of the last so many seconds, newest first."""
    oldest = datetime.datetime.now() - datetime.timedelta(seconds=interval)
    return [entry.get("data") for when, entry in itertools.takewhile(lambda e: e[0] > oldest, _entries(json_log_file))]


def get_data_interval_json_log(json_log_file, interval):
    """As get_json_log_data_interval, and the one entry before the interval: what was so when it began. Older plugins average over both."""
    oldest, found = datetime.datetime.now() - datetime.timedelta(seconds=interval), []
    for when, entry in _entries(json_log_file):
        found.append(entry.get("data"))
        if when <= oldest:
            break
    return found


def get_json_log_latest_timestamp(json_log_file):
    """When the newest entry was logged, in seconds since 1970; 0 = there is none."""
    for when, _ in _entries(json_log_file):
        return when.timestamp()
    return 0


class _JSONFormatter(logging.Formatter):
    def format(self, record):
        data = getattr(record, "data", None)
        if isinstance(data, str):
            try:
                data = json.loads(data)
            except ValueError:
                pass  # then it is just text
        when = datetime.datetime.fromtimestamp(record.created).isoformat(timespec="milliseconds")
        return json.dumps({"time": when, "log_level": record.levelname, "message": record.getMessage(), "data": data}, default=str)


class JSONPromise(GenericPromise):
    """A promise that keeps data beside its log: self.json_logger.info(message, extra={"data": {…}})."""

    def __init__(self, config):
        super().__init__(config)
        self.json_logger = logging.Logger("json-logger", logging.INFO)
        folder = self.getLogFolder()
        self.__path = None if folder is None else os.path.join(folder, self.getTitle() + ".json.log")
        if self.__path:
            handler = logging.FileHandler(self.__path, encoding="utf-8")
            handler.setFormatter(_JSONFormatter())
            self.json_logger.addHandler(handler)
        else:
            self.json_logger.addHandler(logging.NullHandler())

    def getJsonLogFile(self):
        """The path of the JSON log; None = there is none."""
        return self.__path

    def getJsonLogDataInterval(self, interval):
        """`data` of what was logged in the last so many seconds, newest first."""
        return get_json_log_data_interval(self.__path, interval) if self.__path else []

    def getJsonLogLatestTimestamp(self):
        """When something was logged last, in seconds since 1970; 0 = never."""
        return get_json_log_latest_timestamp(self.__path) if self.__path else 0

    get_json_log_data_interval = getJsonLogDataInterval
    get_json_log_latest_timestamp = getJsonLogLatestTimestamp
    log_file = property(getJsonLogFile)


# The names that older plugins use.
JSONRunPromise = JSONPromise
get_latest_timestamp_json_log = get_json_log_latest_timestamp
