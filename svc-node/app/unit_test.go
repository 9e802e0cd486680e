package app_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	kit "github.com/vow-os/vow/kit/app"
	"github.com/vow-os/vow/svc-node/app"
)

// unit reads a systemd unit: section.key → values.
func unit(t *testing.T, path string) map[string][]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	values, section := map[string][]string{}, ""
	for scanner := bufio.NewScanner(file); scanner.Scan(); {
		line := strings.TrimSpace(scanner.Text())
		switch {
		case line == "" || line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Fatalf("%s: %q is no setting", path, line)
			}
			values[section+"."+key] = append(values[section+"."+key], value)
		}
	}
	return values
}

func TestTheUnitStartsASupervisorWhoseAgentUnderstandsItsCommandLine(t *testing.T) {
	values := unit(t, "../systemd/vow-supervisor.service")
	for key, want := range map[string]string{
		"Service.KillMode": "process", "Service.Delegate": "yes", "Service.NoNewPrivileges": "yes", "Service.ProtectSystem": "full", "Service.Restart": "always", "Service.Type": "notify", "Service.WatchdogSec": "3min",
		"Unit.StartLimitIntervalSec": "0", "Service.KillSignal": "SIGTERM", "Service.StateDirectoryMode": "0700",
	} {
		if got := strings.Join(values[key], " "); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	before, after, ok := strings.Cut(values["Service.ExecStart"][0], " -- ")
	if !ok || before != "/usr/bin/vow-supervisor --dir /var/lib/vow/supervisor --cgroup system.slice/vow-limits.service --agent" {
		t.Errorf("the supervisor is %q", before)
	}
	agent := strings.Fields(after)
	var got app.Config
	var said strings.Builder
	captured := errors.New("understood")
	code := kit.Run(kit.Program{Name: agent[0], EnvPrefix: "VOW_NODE", Vars: app.Vars()}, agent[1:], io.Discard, &said, nil, func(_ context.Context, cfg app.Config) (kit.Service, error) {
		got = cfg
		return nil, captured
	})
	if code == kit.ExitUsage || !strings.Contains(said.String(), captured.Error()) {
		t.Fatalf("the agent says %s", said.String())
	}
	if got.Executable != "/usr/bin/vow" { // profiles refer to it, for example those of the sample
		t.Errorf("${vow:executable} is %q", got.Executable)
	}
	if !got.Formatted || got.InstanceRoot != "/srv/vow/instance" || got.SupervisorDir != "/var/lib/vow/supervisor" {
		t.Errorf("the agent is configured as %+v", got)
	}
	if err := got.Validate(); err != nil {
		t.Error(err)
	}
}

// The cgroup that the supervisor gives limited services is one that systemd makes, keeps and never puts a process into.
func TestTheCgroupOfLimitedServicesIsAUnitWithoutAProcess(t *testing.T) {
	supervisor, limits := unit(t, "../systemd/vow-supervisor.service"), unit(t, "../systemd/vow-limits.service")
	_, after, ok := strings.Cut(supervisor["Service.ExecStart"][0], " --cgroup system.slice/")
	if name, _, _ := strings.Cut(after, " "); !ok || name != "vow-limits.service" {
		t.Errorf("limited services are below %q", name)
	}
	for key, want := range map[string]string{"Service.Type": "oneshot", "Service.RemainAfterExit": "yes", "Service.Delegate": "yes", "Service.OOMPolicy": "continue", "Service.TasksMax": "infinity"} {
		if got := strings.Join(limits[key], " "); got != want {
			t.Errorf("%s is %q, want %q", key, got, want)
		}
	}
	for _, key := range []string{"Unit.Wants", "Unit.After"} {
		if !strings.Contains(strings.Join(supervisor[key], " "), "vow-limits.service") {
			t.Errorf("%s of the supervisor is %q", key, supervisor[key])
		}
	}
}

// A small Debian has no other programs: procps, with /bin/kill, is not in it.
func TestTheUnitsNameNoProgramThatASmallDebianLacks(t *testing.T) {
	units, err := filepath.Glob("../systemd/*.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range units {
		for key, commands := range unit(t, path) {
			for _, command := range commands {
				if program, _, _ := strings.Cut(command, " "); strings.HasPrefix(key, "Service.Exec") &&
					!slices.Contains([]string{"/bin/sh", "/bin/true", "/usr/bin/vow", "/usr/bin/vow-supervisor"}, program) {
					t.Errorf("%s: %s is %s", path, key, program)
				}
			}
		}
	}
}

func TestSystemdUnderstandsTheUnits(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Fatal("systemd-analyze is not there: make setup")
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	units, err := filepath.Glob("../systemd/*.service")
	if err != nil || len(units) != 3 {
		t.Fatalf("units are %v, %v", units, err)
	}
	dir := t.TempDir()
	args := []string{"verify"}
	for _, path := range units {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// The programs are not installed here.
		text := strings.NewReplacer("ExecStart=/usr/bin/vow-supervisor", "ExecStart="+executable, "ExecStart=/usr/bin/vow", "ExecStart="+executable).Replace(string(content))
		copied := filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(copied, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		args = append(args, copied)
	}
	output, err := exec.CommandContext(t.Context(), analyze, args...).CombinedOutput()
	for line := range strings.Lines(string(output)) {
		if strings.Contains(line, "vow-") {
			t.Errorf("systemd says %s", line)
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze: %v: %s", err, output)
	}
}
