"""Runs one script of a part of slapos.recipe.build, as build.go asks on standard input; the answer goes to standard output.

What the script sees: self (buildout, name, options, logger, download, extract, copyTree), options, location, guessworkdir.
"""

# What few scripts need is imported where it is needed: most of what a short one takes is imports.
import base64
import json
import os
import stat
import sys
import textwrap

MAX_FILES = 10000
MAX_BYTES = 16 << 20
OURS = {"buildout", "name", "options", "logger", "_scratch"}


class Failure(Exception):
    """What the author of the profile is told without a traceback."""


class Options(dict):
    def __init__(self, section, values):
        super().__init__(values)
        self.section = section

    def __missing__(self, option):
        raise KeyError("there is no option %s in section [%s]" % (option, self.section))


class Buildout(dict):
    def __missing__(self, section):
        raise KeyError(
            "section [%s] is not known here: it does not exist, or the script does not name it as buildout['%s']" % (section, section)
        )

    def parse(self, text):
        raise Failure("sections cannot be added while the profile is being resolved (buildout.parse)")


def guessworkdir(path):
    names = os.listdir(path)
    if len(names) == 1 and os.path.isdir(os.path.join(path, names[0])):
        return os.path.join(path, names[0])
    return path


class Recipe:
    def __init__(self, asked):
        self.name = asked["name"]
        self.options = Options(self.name, asked["options"])
        self.buildout = Buildout({name: Options(name, values) for name, values in asked["sections"].items()})
        self.buildout[self.name] = self.options
        if asked.get("state"):
            import pickle

            vars(self).update(pickle.loads(base64.b64decode(asked["state"])))

    def __getattr__(self, name):
        if name == "logger":
            import logging

            logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
            self.logger = logging.getLogger(self.name)
        elif name == "_scratch":
            import tempfile

            self._scratch = tempfile.mkdtemp(prefix="vow-build-")
        else:
            raise AttributeError("slapos.recipe.build has no %s here" % name)
        return vars(self)[name]

    def _directory(self):
        import tempfile

        return tempfile.mkdtemp(dir=self._scratch)

    def download(self, url=None, md5sum=None):
        if url is None:
            url, md5sum = self.options["url"], self.options.get("md5sum")
        remote = "://" in url and not url.startswith("file://")
        if remote and self.buildout.get("buildout", {}).get("offline", "true").lower() == "true":
            raise Failure("cannot download %s: the profile says offline = true" % url)
        import hashlib
        import shutil
        import urllib.request

        path = os.path.join(self._directory(), os.path.basename(url.rstrip("/")) or "download")
        with urllib.request.urlopen(url if "://" in url else "file://" + url, timeout=60) as source, open(path, "wb") as copy:
            shutil.copyfileobj(source, copy)
        if md5sum:
            with open(path, "rb") as copy:
                found = hashlib.md5(copy.read()).hexdigest()
            if found != md5sum:
                raise Failure("cannot use %s: its checksum is %s, not %s" % (url, found, md5sum))
        return path

    def extract(self, path):
        import shutil

        directory = self._directory()
        shutil.unpack_archive(path, directory)
        return directory

    def copyTree(self, origin, destination, ignore_dir_list=()):
        import shutil

        shutil.copytree(origin, destination, symlinks=True, ignore=shutil.ignore_patterns(*ignore_dir_list))

    def failIfPathExists(self, path):
        if os.path.lexists(path):
            raise Failure("%s exists" % path)

    def _state(self):
        kept = {name: value for name, value in vars(self).items() if name not in OURS}
        if not kept:
            return ""
        import pickle

        for name, value in list(kept.items()):
            try:
                pickle.dumps(value)
            except Exception:  # pickle raises all sorts of errors
                del kept[name]  # it is missing in install
        return base64.b64encode(pickle.dumps(kept)).decode()


def remove(path):
    import shutil

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def product(location):
    """What the script made at location, which vow installs in its place."""
    entries, size = [], 0

    def add(path):
        nonlocal size
        info = os.lstat(path)
        entry = {"path": path, "mode": stat.S_IMODE(info.st_mode) & 0o777}
        if stat.S_ISLNK(info.st_mode):
            entry["link"] = os.readlink(path)
        elif stat.S_ISDIR(info.st_mode):
            entry["directory"] = True
        elif stat.S_ISREG(info.st_mode):
            size += info.st_size
            if size > MAX_BYTES:
                raise Failure("what install made at %s has more than %d bytes" % (location, MAX_BYTES))
            with open(path, "rb") as content:
                entry["content"] = base64.b64encode(content.read()).decode()
        else:
            raise Failure("install made %s, which is no file, directory or link" % path)
        entries.append(entry)
        if len(entries) > MAX_FILES:
            raise Failure("install made more than %d files at %s" % (MAX_FILES, location))
        if entry.get("directory"):
            for name in sorted(os.listdir(path)):
                add(os.path.join(path, name))

    add(location)
    return entries


def execute(asked, recipe):
    variables = {
        "__name__": "slapos.recipe.build",
        "self": recipe,
        "options": recipe.options,
        "buildout": recipe.buildout,
        "location": recipe.options.get("location"),
        "guessworkdir": guessworkdir,
    }
    source = textwrap.dedent(asked["script"].strip("\n"))
    exec(compile(source, asked["phase"], "exec"), variables)


def install(asked, recipe):
    """Runs install with nothing at location, as buildout does, takes what it made and puts back what was there."""
    location = recipe.options.get("location")
    if not location:
        return execute(asked, recipe)
    before = location.rstrip("/") + ".vow-before"
    if os.path.lexists(before):  # an execution that was killed
        remove(location)
        os.rename(before, location)
    if os.path.lexists(location):
        os.rename(location, before)
    os.makedirs(os.path.dirname(location.rstrip("/")), exist_ok=True)
    try:
        execute(asked, recipe)
        location = recipe.options.get("location") or ""  # a script may say that it makes nothing
        if not location:
            return None
        if not os.path.lexists(location):
            raise Failure("install made nothing at location, %s" % location)
        return product(location)
    finally:
        if location:
            remove(location)
        if os.path.lexists(before):
            if os.path.isfile(before) and not os.path.islink(before) and not os.path.getsize(before):
                os.unlink(before)  # init made it so that others find something
            else:
                os.rename(before, location or before[: -len(".vow-before")])


def main():
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the script prints belongs to its log
    asked = json.load(sys.stdin)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.path[0:0] = [path for path in os.environ.pop("VOW_PYTHON_PATH", "").split(os.pathsep) if path]
    given = dict(asked["options"])
    result = {}
    recipe = None
    try:
        recipe = Recipe(asked)
        if asked["phase"] == "install" and asked.get("capture"):
            result["files"] = install(asked, recipe)
        else:
            execute(asked, recipe)
        result["options"] = {k: v for k, v in recipe.options.items() if k not in given or given[k] != v}
        for option, value in result["options"].items():
            try:
                json.dumps(value)
            except (TypeError, ValueError) as error:
                raise Failure("cannot keep the option %s: %s" % (option, error))
        result["state"] = recipe._state()
    except Failure as error:
        result = {"error": str(error)}
    except SystemExit as error:
        result = {"error": "it exits: %s" % error}
    except BaseException as error:
        import traceback

        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == asked["phase"]]
        place = "line %d: " % frames[-1].lineno if frames else ""
        if isinstance(error, SyntaxError) and error.lineno:
            place = "line %d: " % error.lineno
        text = error.args[0] if isinstance(error, KeyError) and error.args else error
        result = {"error": "%s%s: %s" % (place, type(error).__name__, text)}
        traceback.print_exc()
    finally:
        if recipe is not None and "_scratch" in vars(recipe):
            remove(recipe._scratch)
    json.dump(result, answer)
    answer.close()


main()
