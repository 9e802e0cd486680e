"""What a promise's file was compiled to is kept while the file stays the same."""
import marshal
import os
import tempfile
import unittest

import vowhost
import vowsense


class CodeTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "p.py")
        self.write("said = 1")
        settled, vowsense.SETTLED = vowsense.SETTLED, -1
        self.addCleanup(setattr, vowsense, "SETTLED", settled)

    def write(self, content):
        with open(self.path, "w") as f:
            f.write(content)

    def run_it(self, **more):
        request, scope = dict({"path": self.path}, **more), {}
        exec(vowsense.compiled(request), scope)
        return scope["said"], request.get("learned")

    def test_the_next_execution_has_the_code_of_the_last(self):
        said, (key, _) = self.run_it()
        self.assertEqual(said, 1)
        other = marshal.dumps(compile("said = 'kept'", self.path, "exec"))
        self.assertEqual(self.run_it(code=(key, other)), ("kept", None))

    def test_a_changed_file_is_compiled_anew(self):
        _, learned = self.run_it()
        self.write("said = 22")
        said, again = self.run_it(code=learned)
        self.assertEqual(said, 22)
        self.assertNotEqual(again[0], learned[0])

    def test_a_file_with_another_files_times_and_size_is_another(self):
        _, learned = self.run_it()
        was = os.stat(self.path)
        self.write("said = 2")
        os.utime(self.path, ns=(was.st_atime_ns, was.st_mtime_ns))
        while os.stat(self.path).st_ctime_ns == was.st_ctime_ns:
            os.utime(self.path, ns=(was.st_atime_ns, was.st_mtime_ns))  # the same tick: that is what SETTLED is for
        self.assertEqual(self.run_it(code=learned)[0], 2)

    def test_what_changed_a_moment_ago_is_not_kept(self):
        vowsense.SETTLED = 3600
        self.assertIsNone(self.run_it()[1])

    def test_what_is_kept_is_bounded_and_each_users_own(self):
        codes = vowhost.Codes()
        request = {"path": self.path, "user": {"uid": 7, "gid": 7}}
        codes.keep(request, vowhost.CODE.pack(1, 2, 3, 4) + b"code")
        self.assertEqual(codes.find(request), ((1, 2, 3, 4), b"code"))
        self.assertIsNone(codes.find({"path": self.path, "user": {"uid": 8, "gid": 7}}))
        self.assertIsNone(codes.find({"path": self.path}))
        codes.keep(request, b"short")
        self.assertIsNone(codes.find(request))
        big = b"x" * vowhost.MAX_CODE
        for n in range(200):
            codes.keep({"path": str(n)}, big)
        codes.keep({"path": "huge"}, big + b"x")
        self.assertLessEqual(codes.size, vowhost.MAX_CODES)
        self.assertEqual(codes.size, sum(len(c) + vowhost.CODE.size for _, c in codes.known.values()))
        self.assertIsNone(codes.find({"path": "huge"}))
        self.assertIsNotNone(codes.find({"path": "199"}))
        self.assertIsNone(codes.find({"path": "0"}))


if __name__ == "__main__":
    unittest.main()
