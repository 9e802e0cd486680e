package builtin

import (
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

func TestEverySensorIsDescribed(t *testing.T) {
	for _, s := range Sensors() {
		if !strings.HasPrefix(s.Name, "check_") || !strings.HasSuffix(s.Summary, ".") || s.Period < time.Minute || s.Windows == "" {
			t.Errorf("%+v", s)
		}
		for _, o := range s.Options {
			if !strings.HasSuffix(o.Text, ".") {
				t.Errorf("%s: %s is described by %q", s.Name, o.Name, o.Text)
			}
		}
		if found, ok := Find(modulePrefix + s.Name); !ok || found.Name != s.Name {
			t.Errorf("%s is not found by its module", s.Name)
		}
	}
}

func TestWhatEveryPromiseReadsIsRead(t *testing.T) {
	c := check(t, "check_interface_up", map[string]string{"ifname": "lo", "frequency": "0.5", "bang-on-failure": "false", "partition-id": "slappart0"})
	if c.Period != 30*time.Second || !c.Quiet {
		t.Errorf("check is %+v", c)
	}
	if c := check(t, "check_interface_up", map[string]string{"ifname": "lo"}); c.Period != 2*time.Minute || c.Quiet {
		t.Errorf("check is %+v", c)
	}
}

func TestALongMessageKeepsItsEnd(t *testing.T) {
	s := &Sensing{}
	s.error("%s", strings.Repeat("é", 2*child.MaxCharacters)+"end")
	if message := s.group.GetEntries()[0].GetMessage(); len([]rune(message)) != child.MaxCharacters || !strings.HasSuffix(message, "end") {
		t.Errorf("message has %d characters", len([]rune(message)))
	}
}
