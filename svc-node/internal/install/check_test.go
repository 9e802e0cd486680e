package install

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/vow-os/vow/svc-node/profile"
)

func TestCheckTellsAnAuthorWhatAProfileDeploys(t *testing.T) {
	for kind, want := range map[string]string{
		"root":  "web-url=web:url",
		"web":   "url=http://127.0.0.1:20000/",
		"store": "url=tcp://127.0.0.1:16379",
	} {
		preview, err := Check(t.Context(), "../../../examples/hello/instance.cfg", profile.Environment{SoftwareType: kind, Parameters: map[string]string{"port": map[string]string{"store": "16379"}[kind]}})
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		name, value, _ := strings.Cut(want, "=")
		if preview.Published[name] != value {
			t.Errorf("%s publishes %v, want %s", kind, preview.Published, want)
		}
		if kind != "root" && (len(preview.Services) != 1 || preview.Services[0].Action != "create") {
			t.Errorf("%s: services %v", kind, preview.Services)
		}
	}
	p := place(t, "[buildout]\nparts = a\n[a]\nrecipe = slapos.recipe.build\ninit = x\n")
	_, err := Check(t.Context(), filepath.Join(p.ReleaseDirectory, "instance.cfg"), profile.Environment{})
	if err == nil || !strings.Contains(err.Error(), "instance.cfg:4: [a] recipe: cannot install this part: the recipe slapos.recipe.build is not built in") {
		t.Errorf("got %v", err)
	}
}
