package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/app"
)

// vowOnPath puts a command vow on the PATH that answers `vow promise modules`.
func vowOnPath(t *testing.T) {
	t.Helper()
	code, folder, errOut := run(t, "promise", "modules")
	if code != exitOK {
		t.Fatal(errOut)
	}
	bin := t.TempDir()
	script := "#!/bin/sh\ntest \"$*\" = 'promise modules' && echo " + folder
	if err := os.WriteFile(filepath.Join(bin, "vow"), []byte(script), 0o750); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
}

func TestANewPromiseComesWithATestThatPassesAndCanFail(t *testing.T) {
	for _, c := range []struct{ kind, promise, test, interpreter, said, was, becomes string }{
		{"python", "etc/plugin/my-app.py", "test/test_my-app.py", "python3", "OK", "os.path.exists(path)", "not os.path.exists(path)"},
		{"executable", "etc/promise/my-app", "test/test_my-app.sh", "sh", "ok: it passes", "[ -e", "[ ! -e"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			dir := inPartition(t, map[string]string{"readme": ""})
			vowOnPath(t)
			code, out, errOut := run(t, "promise", "new", "my-app", "--kind", c.kind)
			if code != exitOK || !strings.Contains(out, "wrote "+c.promise+"\nwrote "+c.test+"\ntest it with  "+c.interpreter+" "+c.test) {
				t.Fatalf("exit %d, %s\n%s", code, errOut, out)
			}
			test := func() (string, error) {
				cmd := exec.CommandContext(t.Context(), c.interpreter, filepath.Join(dir, c.test))
				cmd.Dir = "/"
				output, err := cmd.CombinedOutput()
				return string(output), err
			}
			if output, err := test(); err != nil || !strings.Contains(output, c.said) {
				t.Errorf("its test gives %v\n%s", err, output)
			}
			if code, out, errOut := run(t, "promise", "run", "--dry-run"); code != exitFailed || !strings.Contains(out, "FAILED  my-app") || !strings.Contains(out, "var/run/my-app.pid is missing") {
				t.Errorf("run, it gives %d, %s\n%s", code, errOut, out)
			}
			content, err := os.ReadFile(filepath.Join(dir, c.promise))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, c.promise), []byte(strings.Replace(string(content), c.was, c.becomes, 1)), 0o750); err != nil {
				t.Fatal(err)
			}
			if output, err := test(); err == nil {
				t.Errorf("the test of a wrong promise passes\n%s", output)
			}
			if code, _, errOut := run(t, "promise", "new", "my-app", "--kind", c.kind); code != exitFailed || !strings.Contains(errOut, c.promise+" has that title already") {
				t.Errorf("a second time it gives %d, %s", code, errOut)
			}
		})
	}
}

func TestANewBuiltinIsADeclarationOfAnySensor(t *testing.T) {
	dir := inPartition(t, map[string]string{"readme": ""})
	for _, sensor := range app.Builtins() {
		if code, _, errOut := run(t, "promise", "new", sensor, "--kind", "builtin", "--sensor", sensor); code != exitOK {
			t.Errorf("%s: exit %d, %s", sensor, code, errOut)
		}
	}
	promises, err := app.Promises(dir)
	if err != nil || len(promises) != len(app.Builtins()) {
		t.Fatalf("%v, %v", promises, err)
	}
	for _, p := range promises {
		if p.Broken != "" || p.Problem != "" {
			t.Errorf("%s: %s%s", p.Name, p.Broken, p.Problem)
		}
	}
}

func TestANewPromiseOverwritesNothingAndHasAUsableName(t *testing.T) {
	dir := inPartition(t, map[string]string{"test/test_mine.py": "mine", "etc/promise/taken": "#!/bin/sh\n"})
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"mine", "--kind", "python"}, exitFailed, "test/test_mine.py exists, and is not overwritten"},
		{[]string{"taken", "--kind", "python"}, exitFailed, "etc/promise/taken has that title already"},
		{[]string{"../x", "--kind", "python"}, exitFailed, `cannot begin promise "../x": want a name of letters`},
		{[]string{"-x", "--kind", "python"}, exitUsage, ""},
		{[]string{"__init__", "--kind", "python"}, exitFailed, "want a name of letters"},
		{[]string{"x.json", "--kind", "executable"}, exitFailed, "has no ending .py or .json"},
		{[]string{"x y", "--kind", "executable"}, exitFailed, "want a name of letters"},
		{[]string{"x", "--kind", "perl"}, exitUsage, `cannot use --kind "perl": want python, executable, builtin`},
		{[]string{"x"}, exitUsage, "cannot use --kind"},
		{[]string{"x", "--kind", "builtin", "--sensor", "check_moon"}, exitFailed, `no built-in sensor is called "check_moon" (check_certificate,`},
	} {
		if code, _, errOut := run(t, append([]string{"promise", "new"}, c.args...)...); code != c.code || !strings.Contains(errOut, c.want) {
			t.Errorf("%v: exit %d, %s", c.args, code, errOut)
		}
	}
	if content, err := os.ReadFile(filepath.Join(dir, "test/test_mine.py")); err != nil || string(content) != "mine" {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "etc/plugin/mine.py")); err == nil {
		t.Error("half of a promise is left")
	}
}

// example is a fenced block of a page.
var example = regexp.MustCompile("(?s)```(\\w+)\n(.*?)```")

func TestTheExamplesOfTheDocumentationArePromises(t *testing.T) {
	for _, c := range []struct{ page, language, path, want string }{
		{"promises-python.md", "python", "etc/plugin/p.py", "it is gone"},
		{"promises-executable.md", "sh", "etc/promise/p", "redis"},
		{"promises-builtin.md", "json", "etc/plugin/p.json", "connection not possible"},
	} {
		content, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", c.page))
		if err != nil {
			t.Fatal(err)
		}
		found := example.FindStringSubmatch(string(content))
		if found == nil || found[1] != c.language {
			t.Fatalf("%s begins with no example of %s", c.page, c.language)
		}
		t.Run(c.page, func(t *testing.T) {
			inPartition(t, map[string]string{c.path: strings.ReplaceAll(found[2], "[2001:db8::1]:8443", "127.0.0.1:1")}) // where surely nobody answers
			if _, out, errOut := run(t, "promise", "run", "--dry-run", "--promise-timeout", "10"); !strings.Contains(out, c.want) || strings.Contains(out, "cannot") {
				t.Errorf("%s\n%s", errOut, out)
			}
		})
	}
}
