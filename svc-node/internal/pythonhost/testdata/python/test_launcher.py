"""PromiseLauncher, sentence by sentence."""
import json
import logging
import os
from unittest import mock

from case import HEAD, Case
from slapos.grid.promise import PROMISE_CACHE_FOLDER_NAME, PromiseError, PromiseLauncher, PromiseProcess
from slapos.grid.promise.generic import GenericPromise, PROMISE_RESULT_FOLDER_NAME

logging.getLogger("test").addHandler(logging.NullHandler())
logging.getLogger("test").propagate = False


class Launcher(Case):
    def launcher(self, anomaly=False, dry_run=False, save=None, **more):
        config = {
            "promise-timeout": 5, "promise-folder": self.plugins, "legacy-promise-folder": self.executables, "log-folder": self.logs,
            "partition-folder": self.partition, "master-url": "", "partition-cert": "", "partition-key": "", "partition-id": "slappart0",
            "computer-id": "COMP-1", "debug": False, "check-anomaly": anomaly, "force": False, "run-only-promise-list": [], "uid": None, "gid": None,
        }
        config.update({k.replace("_", "-"): v for k, v in more.items()})
        launcher = PromiseLauncher(config=config, logger=logging.getLogger("test"), dry_run=dry_run)
        if save:
            launcher._savePromiseResult = save
        return launcher

    def plugin(self, name, sense="self.logger.info('success')", more=""):
        with open(os.path.join(self.plugins, name), "w") as f:
            f.write(HEAD + "  def sense(self):\n    %s\n%s" % (sense, more))

    def result(self, title):
        with open(os.path.join(self.partition, PROMISE_RESULT_FOLDER_NAME, title + ".status.json")) as f:
            return json.load(f)

    def executable(self, name, text):
        path = os.path.join(self.executables, name)
        with open(path, "w") as f:
            f.write("#!/bin/sh\n" + text)
        os.chmod(path, 0o755)

    def test_folders_are_mandatory(self):
        for key in ("promise_folder", "partition_folder"):
            self.assertRaises(ValueError, self.launcher, **{key: None})

    def test_a_result_file(self):
        self.plugin("my_promise.py")
        self.launcher().run()
        result = self.result("my_promise")
        self.assertGreater(result.pop("execution-time"), 0)
        self.assertRegex(result["result"].pop("date"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+0000$")
        self.assertEqual(result, {
            "title": "my_promise", "name": "my_promise.py", "path": os.path.join(self.plugins, "my_promise.py"),
            "result": {"type": "Test Result", "failed": False, "message": "success"},
        })
        self.launcher(anomaly=True, force=True).run()
        self.assertEqual(self.result("my_promise")["result"]["type"], "Anomaly Result")

    def test_a_result_that_says_nothing_new_is_not_written(self):
        self.plugin("my_promise.py")
        path = os.path.join(self.partition, PROMISE_RESULT_FOLDER_NAME, "my_promise.status.json")
        inodes = set()
        for _ in range(2):
            self.launcher(force=True).run()
            inodes.add(os.stat(path).st_ino)
        self.assertEqual(len(inodes), 1)

    def test_all_are_executed_and_the_first_failure_is_raised(self):
        self.plugin("a.py", "self.logger.error('first')")
        self.plugin("b.py", "self.logger.error('second')")
        self.plugin("c.py")
        with self.assertRaises(PromiseError) as e:
            self.launcher().run()
        self.assertEqual(str(e.exception), "Promise 'a.py' failed with output: first")
        self.assertEqual([self.result(t)["result"]["failed"] for t in "abc"], [True, True, False])

    def test_not_due_is_not_executed_but_fails_on(self):
        self.plugin("a.py", "self.logger.error('broken')")
        self.plugin("b.py")
        saved = []
        with self.assertRaises(PromiseError):
            self.launcher(save=saved.append).run()
        with self.assertRaises(PromiseError) as e:
            self.launcher(save=saved.append).run()
        self.assertEqual(str(e.exception), "Promise 'a.py' failed with output: broken")
        self.assertEqual(len(saved), 2)
        with self.assertRaises(PromiseError):
            self.launcher(save=saved.append, force=True).run()
        self.assertEqual(len(saved), 4)

    def test_the_cache(self):
        self.plugin("a.py", more="  def __init__(self, config):\n    super().__init__(config)\n    self.setPeriodicity(0.5)\n    self.setTestLess()\n")
        self.launcher(anomaly=True).run()
        with open(os.path.join(self.partition, PROMISE_CACHE_FOLDER_NAME, "a")) as f:
            cache = json.load(f)
        path = os.path.join(self.plugins, "a.py")
        self.assertEqual(cache.pop("next_run_after"), cache.pop("timestamp") + 30)
        self.assertEqual(cache, {
            "is_tested": False, "is_anomaly_detected": True, "periodicity": 0.5, "module_file": path, "module_file_mtime": os.stat(path).st_mtime,
        })

    def test_a_disabled_mode_gives_no_result_and_costs_no_turn(self):
        self.plugin("a.py", more="  def __init__(self, config):\n    super().__init__(config)\n    self.setTestLess()\n")
        saved = []
        self.launcher(save=saved.append).run()
        self.assertEqual(saved, [])
        self.launcher(save=saved.append, anomaly=True).run()
        self.assertEqual(len(saved), 1)

    def test_run_only_leaves_executables_out(self):
        for name in ("a.py", "b.py"):
            self.plugin(name)
        self.executable("c", "exit 1")
        saved = []
        self.launcher(save=saved.append, run_only_promise_list=["b.py"]).run()
        self.assertEqual([r.name for r in saved], ["b.py"])

    def test_executables(self):
        self.executable("bad", "echo This promise failed; exit 1")
        self.executable("good", "echo fine")
        with open(os.path.join(self.executables, "readme"), "w"):
            pass
        saved = []
        with self.assertRaises(PromiseError) as e:
            self.launcher(save=saved.append).run()
        self.assertEqual(str(e.exception), "Promise 'bad' failed with output: This promise failed")
        self.assertEqual([(r.name, r.item.message) for r in saved], [("bad", "This promise failed"), ("good", "fine")])

    def test_executables_fail_as_an_anomaly_the_third_time_and_never_bang(self):
        self.executable("bad", "exit 1")
        for _ in range(2):
            self.launcher(anomaly=True, force=True).run()
        launcher = self.launcher(anomaly=True, force=True)
        self.assertRaises(PromiseError, launcher.run)
        self.assertEqual(self.result("bad")["result"]["type"], "Test Result")
        self.assertFalse(launcher.bang_called)

    def test_a_time_out_fails_a_test_at_once_and_an_anomaly_the_second_time(self):
        self.plugin("a.py", "time.sleep(60)")
        with self.assertRaisesRegex(PromiseError, "Error: Promise timed out after 0.3 seconds"):
            self.launcher(promise_timeout=0.3).run()
        os.unlink(os.path.join(self.partition, PROMISE_RESULT_FOLDER_NAME, "a.status.json"))
        self.launcher(anomaly=True, promise_timeout=0.3, force=True).run()
        with self.assertRaisesRegex(PromiseError, "timed out"):
            self.launcher(anomaly=True, promise_timeout=0.3, force=True).run()

    def test_no_output(self):
        self.plugin("a.py", "os._exit(0)")
        with self.assertRaisesRegex(PromiseError, "Error: No output returned by the promise"):
            self.launcher().run()

    def test_a_plugin_that_cannot_be_imported_fails(self):
        self.plugin("a.py", more="import no_such_module\n")
        with self.assertRaisesRegex(PromiseError, "no_such_module"):
            self.launcher().run()

    def bangs(self, *senses, anomaly=True, **more):
        """How many bangs one pass sends; the processes tell through a file."""
        told = os.path.join(self.partition, "bangs")
        for number, text in enumerate(senses):
            sense, _, rest = text.partition("|")
            self.plugin("%s.py" % "abcdef"[number], sense, rest)

        def bang(partition, message):
            with open(told, "a") as f:
                f.write(message + "\n")

        with mock.patch("slapos.slap.slap.ComputerPartition.bang", bang):
            try:
                self.launcher(**{"anomaly": anomaly, "force": True, "master_url": "http://localhost:1", **more}).run()
            except PromiseError:
                pass
        if not os.path.exists(told):
            return []
        with open(told) as f:
            return [line.split()[1] for line in f]

    FAILS = "self.logger.error('broken')"
    PASSES = "self.logger.info('fine')"

    def test_a_pass_bangs_once(self):
        self.assertEqual(self.bangs(self.FAILS, self.FAILS), ["a"])

    def test_a_failed_test_result_leaves_the_bang_to_the_next(self):
        self.assertEqual(self.bangs(self.FAILS + "|  def anomaly(self): return self._test()\n", self.FAILS), ["b"])

    def test_an_anomaly_that_may_not_bang_mutes_the_next(self):
        silent = "|  def __init__(self, config):\n    super().__init__(config)\n    self.allowBang(False)\n"
        self.assertEqual(self.bangs(self.FAILS + silent, self.FAILS), [])

    def test_an_anomaly_that_raises_mutes_the_next(self):
        self.assertEqual(self.bangs("pass|  def anomaly(self): raise ValueError()\n", self.FAILS), [])

    def test_a_test_and_a_dry_run_bang_never(self):
        self.assertEqual(self.bangs(self.FAILS, anomaly=False), [])
        self.assertEqual(self.bangs(self.FAILS, dry_run=True), [])

    def test_an_anomaly_that_times_out_the_second_time_mutes_the_next(self):
        self.assertEqual(self.bangs("time.sleep(60)", promise_timeout=0.3), [])
        self.assertEqual(self.bangs("time.sleep(60)", self.PASSES, promise_timeout=0.3), [])
        self.assertTrue(self.result("a")["result"]["failed"])
        self.plugin("b.py", self.FAILS)
        self.assertEqual(self.bangs(promise_timeout=0.3), [])

    def test_one_that_times_out_the_first_time_leaves_the_bang_to_the_next(self):
        self.assertEqual(self.bangs("time.sleep(60)", self.FAILS, promise_timeout=0.3), ["b"])

    def test_one_that_failed_earlier_and_is_not_due_leaves_the_bang_to_the_next(self):
        self.assertEqual(self.bangs(self.FAILS), ["a"])
        self.plugin("b.py", self.FAILS)
        self.assertEqual(self.bangs(force=False), ["a", "b"])

    def test_executables_that_fail_leave_python_promises_alone(self):
        self.executable("bad", "exit 1")
        for _ in range(3):
            self.assertEqual(self.bangs(self.PASSES), [])
        self.assertTrue(self.result("bad")["result"]["failed"])
        self.assertEqual(self.bangs(self.FAILS), ["a"])

    def test_without_a_master_an_anomaly_bangs_nowhere_and_mutes_the_next(self):
        for nowhere in (None, ""):
            self.assertEqual(self.bangs(self.FAILS, self.FAILS, master_url=nowhere), [])
        with open(os.path.join(self.logs, "a.log")) as f:
            self.assertIn(" - WARNING - ", f.read())
        with open(os.path.join(self.logs, "b.log")) as f:
            self.assertNotIn(" - WARNING - ", f.read())

    def test_a_dry_run_writes_nothing(self):
        self.plugin("a.py")
        before = sorted(os.walk(self.partition))
        self.launcher(dry_run=True).run()
        self.assertEqual(sorted(os.walk(self.partition)), before)

    def test_what_nothing_stands_for_is_removed(self):
        self.plugin("a.py")
        results = os.path.join(self.partition, PROMISE_RESULT_FOLDER_NAME)
        os.makedirs(results)
        for path in (os.path.join(results, "stale.status.json"), os.path.join(results, "other"), os.path.join(self.plugins, "stale.pyc")):
            with open(path, "w"):
                pass
        self.launcher().run()
        self.assertEqual(sorted(os.listdir(results)), ["a.status.json", "other"])
        self.assertEqual(os.listdir(self.plugins), ["a.py"])

    def test_loading(self):
        def load(name):
            return PromiseProcess(
                self.partition, name, os.path.join(self.plugins, name), logger=None, argument_dict=self.config())._loadPromiseModule()

        self.plugin("a.py")
        self.assertTrue(issubclass(load("a.py").RunPromise, GenericPromise))
        with self.assertRaisesRegex(ImportError, "^No module named 'a'$"):
            load("a")
        with open(os.path.join(self.plugins, "b.py"), "w") as f:
            f.write("from slapos.grid.promise import GenericPromise\nclass RunPromise(GenericPromise): pass\n")
        with self.assertRaises(RuntimeError) as e:
            load("b.py")
        self.assertEqual(
            str(e.exception), "RunPromise class in b.py must implement 'IPromise' interface. @implementer(interface.IPromise) is missing ?")
        self.plugin("c.py", more="extra_config_dict = {'name': 'bar'}\n")
        with self.assertRaisesRegex(ValueError, "^Extra parameter name 'name' cannot be used.\n"):
            load("c.py")
