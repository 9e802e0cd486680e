package recipe

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program goes on until the server upgrades, takes the script and the time zones.
func TestAMySQLIsUpdated(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	for name, content := range map[string]string{
		"upgrade": "echo upgrade \"$@\" >> " + log + "\necho \"This installation is already upgraded\"; exit 1\n",
		"client":  "{ echo client \"$@\"; cat; } >> " + log + "\n",
		"zones":   "echo \"zones of $1;\"\n",
		"sleep":   "exit 9\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "init.sql"), []byte("CREATE DATABASE x;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	const part = "[a]\nrecipe = slapos.cookbook:generic.mysql.wrap_update_mysql\noutput = /p/update\nbinary = DIR/upgrade\nmysql = DIR/client\ninit-script = DIR/init.sql\nmysql_tzinfo_to_sql = DIR/zones\n"
	w.must(strings.ReplaceAll(part, "DIR", dir))
	if out, err := exec.CommandContext(t.Context(), script(t, w, "/p/update")).CombinedOutput(); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	said, err := os.ReadFile(log)
	if want := "upgrade --user=root\nclient -B --user=root\nCREATE DATABASE x;\nclient -B --user=root mysql\nzones of /usr/share/zoneinfo;\n"; err != nil || string(said) != want {
		t.Errorf("it ran\n%s, %v", said, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "upgrade"), []byte("#!/bin/sh\necho no server\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	again := exec.CommandContext(t.Context(), "sh", "-c", "sleep() { exit 9; }; . "+script(t, w, "/p/update"))
	out, _ := again.CombinedOutput()
	if again.ProcessState.ExitCode() != 9 || string(out) != "no server\ntrying again in 5 s\n" {
		t.Errorf("without a server: exit %d, %s", again.ProcessState.ExitCode(), out)
	}
}

// What is made of an answer that an optional request does not have yet is no URL, and no mistake of the profile.
func TestThePromiseOfAURLThatIsNotKnownFails(t *testing.T) {
	w := newWorld(t)
	const part = "[a]\nrecipe = slapos.cookbook:check_url_available\npath = /p/c\nurl = "
	for _, url := range []string{"", "/health"} {
		w.must(part + url + "\n")
		if out, err := exec.Command(script(t, w, "/p/c")).CombinedOutput(); err == nil || !strings.HasPrefix(string(out), "no URL is known yet: ") {
			t.Errorf("%q: %v, %s", url, err, out)
		}
	}
	w.fails(part+"ftp://x/\n", "an http or https URL is wanted")
}
