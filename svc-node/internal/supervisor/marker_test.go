package supervisor

import (
	"os"
	"slices"
	"testing"

	"github.com/vow-os/vow/svc-node/supervise"
)

func TestAMarkerIsReadAsItWasWritten(t *testing.T) {
	p := supervise.Process{
		Key: supervise.Key{Partition: "slappart0", Name: "web server.1"}, Env: []string{"A=b", "VOW_SUPERVISED=forged"}, Path: "/x",
	}
	env := environment("0123", p, 42)
	i := slices.IndexFunc(env, func(s string) bool { return s[:3] == "VOW" })
	if len(env) != 2 || i < 0 {
		t.Fatalf("the environment is %q", env)
	}
	key, alive, ok := parseMarker(env[i][len("VOW_SUPERVISED="):], "0123")
	if !ok || key != p.Key || alive.Incarnation != 42 || alive.Fingerprint != p.Fingerprint() {
		t.Errorf("%q is read as %v, %+v, %v", env[i], key, alive, ok)
	}
	if _, _, ok := parseMarker(env[i][len("VOW_SUPERVISED="):], "4567"); ok {
		t.Error("another supervisor's process is taken for ours")
	}
}

func FuzzParseMarker(f *testing.F) {
	f.Add("0123/p/n/1.ab")
	f.Add("0123//agent/18446744073709551615.")
	f.Fuzz(func(t *testing.T, value string) {
		if key, _, ok := parseMarker(value, "0123"); ok && key.Name == "" {
			t.Fatalf("%q names nothing", value)
		}
	})
}

func FuzzParseStat(f *testing.F) {
	if own, err := os.ReadFile("/proc/self/stat"); err == nil {
		f.Add(own)
	}
	f.Add([]byte("7 (a) b ) (c) S 1 7 7 0 -1"))
	f.Fuzz(func(_ *testing.T, data []byte) { _, _ = parseStat(data) })
}

func TestAProcessWithAnyNameIsRead(t *testing.T) {
	own, err := readStat(os.Getpid())
	if err != nil || own.parent != os.Getppid() || own.start == 0 || own.memory == 0 {
		t.Errorf("this process is read as %+v, %v", own, err)
	}
	stat, err := parseStat([]byte("7 (a) R 9 (b) S 5 7 6 0 -1 0 0 0 0 0 100 50 0 0 20 0 1 0 4242 1000 3 0"))
	if err != nil || stat.state != 'S' || stat.parent != 5 || stat.group != 7 || stat.session != 6 || stat.start != 4242 ||
		stat.cpu.Milliseconds() != 1500 || stat.memory != 3*int64(os.Getpagesize()) {
		t.Errorf("a strange name is read as %+v, %v", stat, err)
	}
}
