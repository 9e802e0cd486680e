"""GenericPromise and JSONPromise, sentence by sentence."""
import datetime
import json
import os
import re
from unittest import mock

from case import Case, Plain
from slapos.grid.promise import interface
from slapos.grid.promise.generic import AnomalyResult, ERROR_LEVEL, GenericPromise, PromiseQueueResult, TestResult
from slapos.promise.plugin.util import JSONPromise, get_data_interval_json_log, get_json_log_data_interval, get_json_log_latest_timestamp, iter_logrotate_file_handle, tail_file
from zope.interface import implementer


class Config(Case):
    def test_what_a_promise_is(self):
        p = self.promise()
        self.assertEqual(p.getTitle(), "my_promise")
        self.assertEqual(p.getName(), "my_promise.py")
        self.assertEqual(p.getPromiseFile(), os.path.join(self.plugins, "my_promise.py"))
        self.assertEqual(p.getPartitionFolder(), self.partition)
        self.assertEqual(p.getLogFolder(), self.logs)
        self.assertEqual(p.getLogFile(), os.path.join(self.logs, "my_promise.log"))
        self.assertEqual(p.getPeriodicity(), 2)
        self.assertTrue(p.isTested() and p.isAnomalyDetected())

    def test_config_is_what_is_given_and_none_otherwise(self):
        p = self.promise(foo="bar", number=4522111)
        self.assertEqual((p.getConfig("foo"), p.getConfig("number"), p.getConfig("absent"), p.getConfig("absent", 3)), ("bar", 4522111, None, 3))
        for key in ("master-url", "partition-cert", "partition-key", "partition-id", "computer-id", "promise-timeout"):
            self.assertIsNotNone(p.getConfig(key))

    def test_what_the_base_takes_is_no_config(self):
        p = self.promise(periodicity=3, bang_on_failure="true")
        for key in ("log-folder", "partition-folder", "debug", "name", "path", "queue", "periodicity", "bang-on-failure"):
            self.assertIsNone(p.getConfig(key))

    def test_periodicity_is_minutes_above_zero(self):
        self.assertEqual(self.promise(periodicity="0.5").getPeriodicity(), 0.5)
        p = self.promise()
        p.setPeriodicity(minute=0.03)
        self.assertEqual(p.getPeriodicity(), 0.03)
        for bad in (0, -1):
            self.assertRaises(ValueError, p.setPeriodicity, bad)
        self.assertRaises(ValueError, self.promise, periodicity=0)

    def test_sense_is_abstract(self):
        class NoSense(GenericPromise):
            pass

        with self.assertRaisesRegex(TypeError, "Can't instantiate abstract class NoSense"):
            NoSense({})

    def test_interface(self):
        self.assertTrue(interface.IPromise.implementedBy(Plain))
        self.assertFalse(interface.IPromise.implementedBy(GenericPromise))

        class Child(Plain):
            pass

        self.assertTrue(interface.IPromise.implementedBy(Child))


class Log(Case):
    LINE = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - (\w+) - (\d+-[1-9]\d\d) - (.*)$")

    def test_a_line_is_local_time_level_id_message(self):
        p = self.promise()
        p.logger.error("one %s", "two")
        p.logger.warning("three")
        with open(p.getLogFile()) as f:
            lines = [self.LINE.match(l).groups() for l in f.read().splitlines()]
        self.assertEqual([(l, m) for l, _, m in lines], [("ERROR", "one two"), ("WARNING", "three")])
        self.assertEqual(len({i for _, i, _ in lines}), 1)  # one id per execution

    def test_other_lines_continue_the_entry(self):
        p = self.promise()
        p.logger.error("running\nmessage in new line")
        p.logger.info("success")
        group = p.getLastPromiseResultList()[0]
        self.assertEqual([(e["status"], e["message"]) for e in group], [("ERROR", "running\nmessage in new line"), ("INFO", "success")])
        self.assertLess(abs(datetime.datetime.now() - group[0]["date"]), datetime.timedelta(seconds=5))

    def test_groups_come_newest_first_entries_in_file_order(self):
        self.write_log([
            "2026-01-01 00:00:00 - INFO - 1-111 - a", "2026-01-01 00:00:00 - ERROR - 1-111 - b", "",
            "2026-01-01 00:02:00 - INFO - 2-222 - c", "2026-01-01 00:02:01 - INFO - 2-222 - d", "more",
        ])
        groups = self.promise().getLastPromiseResultList(result_count=10)
        self.assertEqual([[e["message"] for e in g] for g in groups], [["c", "d\nmore"], ["a", "b"]])
        self.assertEqual(len(self.promise().getLastPromiseResultList(result_count=1)), 1)

    def test_latest_minute_ends_the_search_at_the_first_older_line(self):
        self.history("I" * 50, minutes=1)
        groups = self.promise().getLastPromiseResultList(latest_minute=10, result_count=100)
        self.assertEqual(len(groups), 10)
        self.assertEqual((groups[0][0]["message"], groups[-1][0]["message"]), ("I49", "I40"))

    def test_only_failure_drops_lines_not_groups(self):
        for history, want in (("IIII", [[], [], []]), ("IIIE", [["E3"], [], []]), ("III", [[], []]), ("E", [["E0"]])):
            self.history(history)
            groups = self.promise().getLastPromiseResultList(result_count=3, only_failure=True)
            self.assertEqual([[e["message"] for e in g] for g in groups], want, history)

    def test_no_log_is_no_result(self):
        self.assertEqual(self.promise().getLastPromiseResultList(result_count=3), [])

    def test_without_a_folder_the_log_is_one_group_in_memory(self):
        p = self.promise(log_folder=None)
        self.assertEqual((p.getLogFolder(), p.getLogFile()), (None, None))
        p.logger.info("a")
        p.logger.error("b")
        self.assertEqual([[e["message"] for e in g] for g in p.getLastPromiseResultList(result_count=5)], [["a", "b"]])

    def test_a_rotated_log_is_still_the_promises_memory(self):
        self.history("EE")
        os.rename(os.path.join(self.logs, "my_promise.log"), os.path.join(self.logs, "my_promise.log.1"))
        p = self.promise()
        p.logger.error("third")
        self.assertTrue(p._anomaly(result_count=3, failure_amount=3).hasFailed())

    def test_a_log_of_any_bytes_is_read(self):
        self.history("E")
        with open(os.path.join(self.logs, "my_promise.log"), "ab") as f:
            f.write(b"\xff\xfe\x00\n" * 3)
        self.assertTrue(self.promise()._test().hasFailed())


class Verdict(Case):
    def test_golden_vectors(self):
        for history, count, amount, want in (
            ("EEE", 3, 3, True), ("EE", 3, 3, False), ("EEEE", 2, 3, False), ("EEE", 3, 0, False), ("EIE", 3, 2, True), ("EIE", 2, 2, False),
            ("EEI", 3, 1, False), ("W", 1, 1, False), ("C", 1, 1, True), ("IE", 1, 1, True),
        ):
            self.history(history)
            for decide, kind in ((self.promise()._test, TestResult), (self.promise()._anomaly, AnomalyResult)):
                result = decide(result_count=count, failure_amount=amount)
                self.assertIs(type(result), kind)
                self.assertEqual(result.hasFailed(), want, (history, count, amount))

    def test_no_result(self):
        result = self.promise()._test()
        self.assertEqual((result.hasFailed(), result.message), (False, "No result found!"))

    def test_latest_minute(self):
        self.history("EEE", minutes=10)
        self.assertTrue(self.promise()._anomaly(3, 3).hasFailed())
        self.assertFalse(self.promise()._anomaly(3, 3, latest_minute=15).hasFailed())
        self.assertTrue(self.promise()._anomaly(3, 2, latest_minute=15).hasFailed())

    def test_the_message_is_all_of_the_newest_group(self):
        p = self.promise()
        p.logger.info("a\nb")
        p.logger.error("c")
        self.assertEqual(p._test().message, "a\nb\nc")

    def test_a_message_keeps_its_last_5000_characters(self):
        self.assertEqual(TestResult(True, "x" * 5000).message, "x" * 5000)
        self.assertEqual(TestResult(True, "a" + "x" * 5000).message, "..." + "x" * 5000)

    def test_a_sense_that_logs_nothing_reuses_the_group_before(self):
        class Silent(Plain):
            def sense(self):
                pass

        self.history("E")
        self.assertTrue(self.run_promise(Silent).item.hasFailed())

    def test_error_levels(self):
        self.assertEqual(sorted(ERROR_LEVEL), ["CRITICAL", "ERROR"])


class Run(Case):
    def test_by_default_sense_and_test(self):
        result = self.run_promise()
        self.assertIsInstance(result, PromiseQueueResult)
        self.assertIs(type(result.item), TestResult)
        self.assertEqual((result.title, result.name, result.item.message, result.item.hasFailed()), ("my_promise", "my_promise.py", "success", False))
        self.assertGreater(result.execution_time, 0)
        self.assertIsInstance(result.item.date, datetime.datetime)
        self.assertIs(type(self.run_promise(check_anomaly=True).item), AnomalyResult)

    def test_what_sense_raises_is_logged_and_decided_on(self):
        class Raises(Plain):
            def sense(self):
                raise ValueError("Bad Promise raised")

        result = self.run_promise(Raises)
        self.assertEqual((result.item.hasFailed(), result.item.message), (True, "Bad Promise raised"))

    def test_no_verdict_is_a_failure_without_a_bang(self):
        class Nothing(Plain):
            def anomaly(self):
                return None

        class Raises(Plain):
            def anomaly(self):
                raise KeyError("x")

        with mock.patch("slapos.slap.slap.ComputerPartition.bang") as bang:
            for kind in (Nothing, Raises):
                result = self.run_promise(kind, check_anomaly=True)
                self.assertIs(type(result.item), AnomalyResult)
                self.assertTrue(result.item.hasFailed())
        bang.assert_not_called()

    def test_both_disabled_is_a_failure(self):
        p = self.promise()
        p.setTestLess()
        p.setAnomalyLess()
        result = self.run_promise(promise=p, check_anomaly=True)
        self.assertTrue(result.item.hasFailed())
        self.assertEqual(result.item.message, "It's not allowed to disable both Test and Anomaly in promise!")

    def test_what_is_disabled_is_not_sensed(self):
        for disable, check in (("setTestLess", False), ("setAnomalyLess", True)):
            p = self.promise()
            getattr(p, disable)()
            self.run_promise(promise=p, check_anomaly=check)
            self.assertEqual(p.getLastPromiseResultList(), [])

    def bangs(self, kind, check_anomaly=True, can_bang=True, prepare=lambda p: None, without=None, **more):
        config = self.config(**more)
        config.pop(without, None)
        with mock.patch("slapos.slap.slap.ComputerPartition.bang", autospec=True) as bang:
            p = kind(config)
            prepare(p)
            p.run(check_anomaly, can_bang)
        self.queue.get(False)
        for call in bang.call_args_list:
            self.assertEqual(call.args[1], "Promise my_promise is failing")
        return bang.call_count

    def test_bang(self):
        class Fails(Plain):
            def sense(self):
                self.logger.error("broken")

        class Test(Fails):
            def anomaly(self):
                return self._test()

        class Before(Fails):
            def __init__(self, config):
                self.allowBang(False)
                super().__init__(config)

        class After(Fails):
            def __init__(self, config):
                super().__init__(config)
                self.allowBang(False)

        self.assertEqual(self.bangs(Fails), 1)
        self.assertEqual(self.bangs(Plain), 0)
        self.assertEqual(self.bangs(Fails, check_anomaly=False), 0)
        self.assertEqual(self.bangs(Fails, can_bang=False), 0)
        self.assertEqual(self.bangs(Test), 0)  # TestResult from anomaly(): fails without a bang
        self.assertEqual(self.bangs(Before), 1)  # lost
        self.assertEqual(self.bangs(After), 0)
        self.assertEqual(self.bangs(After, bang_on_failure="true"), 0)  # said last wins over the configuration
        self.assertEqual(self.bangs(Fails, bang_on_failure="false"), 0)
        for key in ("master-url", "computer-id", "partition-id"):
            self.assertEqual(self.bangs(Fails, without=key), 0)

    def test_a_bang_that_fails_is_only_logged(self):
        class Fails(Plain):
            def sense(self):
                self.logger.error("broken")

        with mock.patch("slapos.slap.slap.ComputerPartition.bang", side_effect=OSError("no way")):
            p = self.promise(Fails)
            result = self.run_promise(promise=p, check_anomaly=True)
        self.assertEqual(result.item.message, "broken")
        self.assertIn("no way", p.getLastPromiseResultList()[0][-1]["message"])


class JSON(Case):
    def promise_of(self, body):
        kind = type("RunPromise", (JSONPromise,), {"sense": body})
        return self.promise(implementer(interface.IPromise)(kind))

    def test_data_is_kept_and_read_newest_first(self):
        p = self.promise_of(lambda self: None)
        for n in range(3):
            p.json_logger.info("number %d", n, extra={"data": {"n": n}})
        p.json_logger.info("text", extra={"data": json.dumps({"n": 3})})
        self.assertEqual([d["n"] for d in p.getJsonLogDataInterval(60)], [3, 2, 1, 0])
        self.assertEqual(p.get_json_log_data_interval(60), p.getJsonLogDataInterval(60))
        with open(os.path.join(self.logs, "my_promise.json.log")) as f:
            entry = json.loads(f.readline())
        self.assertEqual(sorted(entry), ["data", "log_level", "message", "time"])
        self.assertEqual((entry["log_level"], entry["message"], entry["data"]), ("INFO", "number 0", {"n": 0}))

    def test_an_interval_spans_rotated_logs_and_ends_at_the_first_older_entry(self):
        path, now = os.path.join(self.partition, "x.json.log"), datetime.datetime.now()
        for suffix, ages in (("", (20, 10)), (".1", (300, 40, 30)), (".2", (25,))):
            with open(path + suffix, "w") as f:
                for age in ages:
                    f.write(json.dumps({"time": (now - datetime.timedelta(seconds=age)).strftime("%Y-%m-%d %H:%M:%S,000"), "data": age}) + "\n")
        self.assertEqual(get_json_log_data_interval(path, 100), [10, 20, 30, 40])
        with open(path, "a") as f:
            f.write("{\"time\": \"%s\", \"data\": {'as': 'Python shows it'}}\n" % now.strftime("%Y-%m-%d %H:%M:%S,000"))
        self.assertEqual(get_json_log_data_interval(path, 15), [{"as": "Python shows it"}, 10])
        self.assertEqual(get_data_interval_json_log(path, 35), [{"as": "Python shows it"}, 10, 20, 30, 40])  # and the one before the interval
        self.assertAlmostEqual(get_json_log_latest_timestamp(path), now.timestamp(), delta=2)
        self.assertEqual(get_json_log_latest_timestamp(path + ".absent"), 0)
        self.assertEqual(len(list(iter_logrotate_file_handle(path))), 3)

    def test_tail(self):
        path = os.path.join(self.partition, "log")
        with open(path, "w") as f:
            f.write("".join("%d\n" % n for n in range(20)))
        self.assertEqual(tail_file(path, 3).split(), ["17", "18", "19"])
