package command

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestFormatShowsItsPlanCarriesItOutAndThenHasNothingToDo(t *testing.T) {
	dir, err := os.MkdirTemp("", "vow-format") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, "instance")
	if os.Getuid() == 0 {
		t.Cleanup(func() { _ = exec.Command("/usr/sbin/userdel", "vowtestcli0").Run() }) // with its group
	}
	run := func(want int, args ...string) string {
		t.Helper()
		var out, errOut bytes.Buffer
		if code := Run(t.Context(), append([]string{"node", "format"}, args...), &out, &errOut); code != want {
			t.Fatalf("%v ends with %d: %s%s", args, code, &out, &errOut)
		}
		return out.String() + errOut.String()
	}
	flags := []string{"--instance-root", root, "--software-root", filepath.Join(dir, "software"), "--partitions", "1", "--user-prefix", "vowtestcli"}
	if said := run(exitOK, flags...); !strings.Contains(said, "write layout") || !strings.Contains(said, "--yes carries them out") {
		t.Errorf("the plan is %s", said)
	}
	if _, err := os.Stat(root); !os.IsNotExist(err) {
		t.Errorf("a plan has effects: %v", err)
	}
	if said := run(exitOK, append(flags, "--yes")...); !strings.Contains(said, "carried out") {
		t.Errorf("carried out it says %s", said)
	}

	// What the unit does at each boot: as before.
	unit, err := os.ReadFile("../../../svc-node/systemd/vow-format.service")
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(unit), "ExecStart=/usr/bin/vow node format ")
	line, _, _ = strings.Cut(line, "\n")
	if said := run(exitOK, strings.Fields(strings.ReplaceAll(line, "/srv/vow/instance", root))...); !strings.Contains(said, "1 partitions, nothing to change") {
		t.Errorf("at a boot it says %s", said)
	}

	var answer struct {
		Wish    struct{ Partitions int }
		Changes []struct{ Action, Name string }
	}
	said := run(exitOK, "--instance-root", root, "--partitions", "0", "-o", "json")
	if err := json.Unmarshal([]byte(said), &answer); err != nil || answer.Wish.Partitions != 0 || len(answer.Changes) != 2 || answer.Changes[0].Action != "remove directory" {
		t.Errorf("as JSON it is %s (%v)", said, err)
	}
	if err := os.WriteFile(filepath.Join(root, "slappart0", "data"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := run(exitFailed, "--instance-root", root, "--partitions", "0", "-y"); !strings.Contains(said, "slappart0 is not empty") {
		t.Errorf("with data it says %s", said)
	}
	if said := run(exitFailed, "--instance-root", root, "--ipv4", "10.0.0.0/99"); !strings.Contains(said, "10.0.0.0/99") {
		t.Errorf("a network that is none gives %s", said)
	}
}

func TestSizesAreWrittenAsPeopleReadThem(t *testing.T) {
	for bytes, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 64 << 30: "64 GiB", 1 << 60: "1024 PiB"} {
		if got := size(bytes); got != want {
			t.Errorf("%d is %q, want %q", bytes, got, want)
		}
	}
}
