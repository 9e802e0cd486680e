package real

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// TestABrokenProfileIsToldWithItsPlace requests releases whose profile does not parse, names a section that does not exist, or a recipe that nobody knows: the tree says file, line and section.
func TestABrokenProfileIsToldWithItsPlace(t *testing.T) {
	s := begin(t)
	for name, c := range map[string]struct{ profile, want string }{
		"does-not-parse":  {"[buildout]\nparts = a\n\nthis is no option\n", "instance.cfg:4"},
		"unknown-section": {"[buildout]\nparts = a\n\n[a]\nrecipe = slapos.cookbook:mkdirectory\npath = ${nowhere:directory}\n", "instance.cfg:6"},
		"unknown-recipe":  {"[buildout]\nparts = a\n\n[a]\nrecipe = no.such:recipe\n", "no.such:recipe"},
	} {
		release := filepath.Join(s.dir, "release-"+name)
		if err := os.MkdirAll(release, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(release, "instance.cfg"), []byte(c.profile), 0o644); err != nil {
			t.Fatal(err)
		}
		url := "file://" + release
		await(t, "the node has registered its computer", func() bool {
			_, err := s.software.SupplySoftware(t.Context(), &masterv1.SupplySoftwareRequest{SoftwareRelease: url, Computer: "laptop"})
			return err == nil
		})
		response, err := s.instances.RequestInstance(t.Context(), &masterv1.RequestInstanceRequest{Title: name, SoftwareRelease: url})
		if err != nil {
			t.Fatal(err)
		}
		told := ""
		await(t, name+" is told", func() bool {
			response, err := s.instances.GetInstance(t.Context(), &masterv1.GetInstanceRequest{InstanceId: response.GetInstance().GetInstanceId()})
			if err != nil {
				return false
			}
			told = response.GetInstance().GetStatus().GetLatest().GetError()
			return told != "" && response.GetInstance().GetStatus().GetLatest().GetErrorType() == "profile"
		})
		if !strings.Contains(told, c.want) {
			t.Errorf("%s: the error does not say where: %s", name, told)
		}
		installed, err := filepath.Glob(filepath.Join(s.dir, "instance", "slappart*", "etc", "*", "*"))
		if err != nil || len(installed) > 0 {
			t.Errorf("%s: a profile that fails left %v (%v)", name, installed, err)
		}
	}
}
