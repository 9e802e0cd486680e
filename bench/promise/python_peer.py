"""Executes promises the way slapgrid does: python_peer.py PLUGINS COUNT; prints the seconds it took.

Not its code: its shape. For each promise a multiprocessing.Process, in which the promise's file is compiled and executed, a
line is logged and the result put into a queue; the parent looks every 50 ms whether it has ended. Less is done than there:
no cache of periodicities, no users, a GenericPromise of three lines.
"""
import logging
import multiprocessing
import os
import sys
import time
import types


def offer():
    """The modules that the promises import, as small as they can be."""
    def module(name, **content):
        m = types.ModuleType(name)
        m.__path__ = []
        m.__dict__.update(content)
        sys.modules[name] = m

    class GenericPromise:
        def __init__(self, log):
            self.logger = logging.Logger("promise")
            self.logger.addHandler(logging.FileHandler(log))

    interface = types.SimpleNamespace(IPromise=object)
    for name in ("slapos", "slapos.grid", "zope"):
        module(name)
    module("zope.interface", implementer=lambda i: lambda c: c)
    module("slapos.grid.promise", interface=interface)
    module("slapos.grid.promise.generic", GenericPromise=GenericPromise)


def execute(path, log, queue):
    content = {"__file__": path}
    with open(path) as f:
        exec(compile(f.read(), path, "exec"), content)
    promise = content["RunPromise"](log)
    promise.sense()
    queue.put("sensed")


def main():
    folder, count = sys.argv[1], int(sys.argv[2])
    offer()
    files = sorted(os.listdir(folder))
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    began = time.monotonic()
    for number in range(count):
        path = os.path.join(folder, files[number % len(files)])
        process = context.Process(target=execute, args=(path, path + ".log", queue))
        process.start()
        for _ in range(400):
            if not process.is_alive():
                break
            time.sleep(0.05)
        if queue.get(True, 1) != "sensed":
            raise SystemExit("a promise gave no result")
        process.join()
    print(time.monotonic() - began)


if __name__ == "__main__":
    main()
