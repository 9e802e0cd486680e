package sensor

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/sensor/builtin"
)

// plugins adds files of etc/plugin to a partition's directory.
func plugins(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	folder := filepath.Join(dir, "etc", "plugin")
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o640); err != nil { //nolint:gosec // as a profile writes them
			t.Fatal(err)
		}
	}
	return dir
}

func list(t *testing.T, dir string) map[string]Promise {
	t.Helper()
	promises, err := Promises(dir)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]Promise{}
	for _, p := range promises {
		byName[p.Name] = p
	}
	if len(byName) != len(promises) {
		t.Errorf("two promises have one name: %v", promises)
	}
	return byName
}

func TestAPromiseIsOfTheKindThatItsFolderAndExtensionSay(t *testing.T) {
	dir := plugins(t, write(t, map[string]string{"run": "#!/bin/sh\n"}), map[string]string{
		"__init__.py": "", "__init__.pyc": "", "web.py": "", "port.json": `{"sensor": "check_socket_listening", "config": {"host": "::1", "port": 80}}`,
		"old.pyc": "", "notes.txt": "", ".hidden.py": "",
	})
	got := list(t, dir)
	for name, kind := range map[string]typev1.PromiseKind{"run": KindExecutable, "web": KindPython, "port": KindBuiltin} {
		if got[name].Kind != kind {
			t.Errorf("%s is %s, want %s", name, got[name].Kind, kind)
		}
	}
	if len(got) != 3 {
		t.Errorf("promises are %v", got)
	}
	if p := got["port"]; p.Check == nil || p.Broken != "" || p.Problem != "" || p.Period != 2*time.Minute {
		t.Errorf("port is %+v", p)
	}
}

func TestPromisesWithOneTitleAreAllSensedAndSaySo(t *testing.T) {
	dir := plugins(t, write(t, map[string]string{"web": "#!/bin/sh\n", "only.py": "#!/bin/sh\n"}), map[string]string{
		"web.py": "", "web.json": `{"sensor": "check_interface_up", "config": {"ifname": "lo"}}`, "only.py": "", "only.json": "{}",
	})
	got := list(t, dir)
	for name, file := range map[string]string{
		"web": "etc/promise/web", "web.py": "etc/plugin/web.py", "web.json": "etc/plugin/web.json",
		"only.py": "etc/promise/only.py", "only": "etc/plugin/only.py", "only.json": "etc/plugin/only.json",
	} {
		p := got[name]
		if p.File != file {
			t.Errorf("%s is %s, want %s", name, p.File, file)
		}
		if told := strings.Contains(p.Problem, "has the title"); told != (name == "web.py" || name == "web.json" || name == "only.json") {
			t.Errorf("%s says %q", name, p.Problem)
		}
	}
}

func TestADeclarationSaysPeriodTimeoutAndWhatItLacks(t *testing.T) {
	dir := plugins(t, t.TempDir(), map[string]string{
		"fast.json":    `{"sensor": "check_interface_up", "config": {"ifname": "lo"}, "periodicity": 0.5, "timeout": 3, "bang-on-failure": "false"}`,
		"rare.json":    `{"sensor": "check_interface_up", "config": {"ifname": "lo", "frequency": 90}, "testless": true}`,
		"disk.json":    `{"sensor": "check_free_disk_space"}`,
		"odd.json":     `{"sensor": "check_interface_up", "config": {"ifname": "lo", "colour": "red"}, "periodic": 3, "periodicity": 0, "timeout": 1e9}`,
		"none.json":    `{"sensor": "check_weather"}`,
		"no.json":      `{"config": {}}`,
		"bad.json":     `{"sensor": `,
		"list.json":    `{"sensor": "check_interface_up", "config": {"ifname": ["lo"]}}`,
		"lacks.json":   `{"sensor": "check_interface_up"}`,
		"number.json":  `{"sensor": "check_socket_listening", "config": {"host": "a", "port": "http"}}`,
		"neither.json": `{"sensor": "check_interface_up", "config": {"ifname": "lo"}, "testless": true, "anomalyless": true}`,
		"file.json":    `{"sensor": "check_file_state", "config": {"filename": "x", "perdiodic-only": true, "result-count": 5, "failure-amount": 2}}`,
		"order.json":   `{"sensor": "check_file_state", "config": {"filename": "x", "result-count": 2, "failure-amount": 5}}`,
	})
	got := list(t, dir)
	if p := got["fast"]; p.Period != 30*time.Second || p.Timeout != 3*time.Second || !p.BangDisabled {
		t.Errorf("fast is %+v", p)
	}
	if p := got["rare"]; p.Period != 90*time.Minute || !p.Testless || p.Anomalyless {
		t.Errorf("rare is %+v", p)
	}
	if p := got["disk"]; p.Period != time.Hour || p.Broken != "" {
		t.Errorf("disk is %+v", p)
	}
	if p := got["file"]; !p.Testless || p.Check.Test.ResultCount != 5 || p.Check.Anomaly.FailureAmount != 2 {
		t.Errorf("file is %+v", p)
	}
	p := got["odd"]
	for _, word := range []string{`"periodic"`, `"colour"`, "periodicity", "timeout"} {
		if !strings.Contains(p.Problem, word) {
			t.Errorf("%q does not tell of %s", p.Problem, word)
		}
	}
	if p.Broken != "" || p.Period != 2*time.Minute || p.Timeout != DefaultTimeout {
		t.Errorf("odd is %+v", p)
	}
	for name, word := range map[string]string{
		"none": `"check_weather"`, "no": "names no sensor", "bad": "JSON", "list": `"ifname"`, "lacks": "ifname", "number": `port "http"`, "neither": "disable both",
		"order": "failure-amount",
	} {
		if p := got[name]; !strings.Contains(p.Broken, word) || !strings.Contains(p.Broken, "etc/plugin/"+name+".json") {
			t.Errorf("%s says %q, want it to tell of %s", name, p.Broken, word)
		}
	}
}

func TestABrokenDeclarationFailsEachGroup(t *testing.T) {
	dir := plugins(t, t.TempDir(), map[string]string{"none.json": `{"sensor": "check_weather"}`})
	g := NewKinds().Sense(t.Context(), Request{Directory: dir, Promise: list(t, dir)["none"]})
	if !strings.Contains(g.GetError(), "check_weather") {
		t.Errorf("group is %v", g)
	}
}

func TestKindsWithoutAPythonHostSenseNoPythonPromises(t *testing.T) {
	k := NewKinds()
	if k.Senses(KindPython) || !k.Senses(KindExecutable) || !k.Senses(KindBuiltin) {
		t.Error("wrong kinds")
	}
	if g := k.Sense(t.Context(), Request{Promise: Promise{Kind: KindPython, File: "etc/plugin/x.py"}}); !strings.Contains(g.GetError(), "etc/plugin/x.py") {
		t.Errorf("group is %v", g)
	}
}

func TestThePlaceOfAPromiseInAListingDoesNotDependOnOthers(t *testing.T) {
	dir := plugins(t, write(t, map[string]string{"b": "#!/bin/sh\n"}), map[string]string{"a.py": "", "c.json": "{}"})
	promises, err := Promises(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(promises, func(a, b Promise) int { return strings.Compare(a.Name, b.Name) }) {
		t.Errorf("promises are %v", promises)
	}
}

// FuzzDeclaration: whatever a profile writes there, a promise has a usable period and time-out, or is broken and says why.
func FuzzDeclaration(f *testing.F) {
	f.Add(`{"sensor": "check_url_available", "config": {"url": "http://[::1]/", "timeout": "3"}, "periodicity": 0.5}`)
	f.Add(`{"sensor": "check_ram_usage", "config": {"frequency": 1e300}}`)
	f.Add(`{"sensor": "check_file_state", "config": {"filename": "\ud800"}, "periodicity": -1}`)
	f.Fuzz(func(t *testing.T, content string) {
		path := filepath.Join(t.TempDir(), "p.json")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		p := Promise{Name: "p", File: "etc/plugin/p.json", Kind: KindBuiltin, Period: DefaultPeriod, Timeout: DefaultTimeout}
		p.declare(path)
		if p.Period < MinPeriod || p.Period > MaxPeriod || p.Timeout <= 0 || p.Timeout > MaxTimeout || p.Check == nil && p.Broken == "" {
			t.Errorf("promise is %+v", p)
		}
	})
}

func TestTheExampleOfEverySensorIsADeclarationWithoutProblems(t *testing.T) {
	for _, s := range builtin.Sensors() {
		dir := t.TempDir()
		if err := os.MkdirAll(filepath.Join(dir, "etc", "plugin"), 0o750); err != nil {
			t.Fatal(err)
		}
		content := `{"sensor": "` + s.Name + `", "config": ` + s.Example + `}`
		if err := os.WriteFile(filepath.Join(dir, "etc", "plugin", "p.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		promises, err := Promises(dir)
		if err != nil || len(promises) != 1 || promises[0].Broken != "" || promises[0].Problem != "" {
			t.Errorf("%s: %+v, %v", content, promises, err)
		}
	}
}
