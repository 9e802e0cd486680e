package install

import (
	"fmt"
	"strings"
	"testing"
)

// fiftyParts is a profile of fifty parts of the recipes that real profiles use most, in their proportions.
func fiftyParts() string {
	var parts, sections []string
	add := func(name, lines string) {
		parts = append(parts, name)
		sections = append(sections, "["+name+"]\n"+lines)
	}
	add("directory", "recipe = slapos.cookbook:mkdirectory\netc = ${buildout:directory}/etc\nservice = ${:etc}/service\npromise = ${:etc}/promise\nvar = ${buildout:directory}/var\n")
	add("slap-configuration", "recipe = slapos.cookbook:slapconfiguration\nconfiguration.port = 80\n")
	add("password", "recipe = slapos.cookbook:generate.password\nstorage-path = ${directory:var}/password\n")
	for i := range 18 {
		add(fmt.Sprintf("wrapper-%d", i), fmt.Sprintf("recipe = slapos.cookbook:wrapper\ncommand-line = /bin/server --port ${slap-configuration:configuration.port} --conf ${jinja-%d:output}\nwrapper-path = ${directory:service}/s%d\nenvironment =\n  A=1\n  B=${password:passwd}\n", i%14, i))
	}
	for i := range 14 {
		add(fmt.Sprintf("jinja-%d", i), fmt.Sprintf("recipe = slapos.recipe.template:jinja2\ninline =\n  port = {{ port }}\n  password = {{ password }}\ncontext =\n  key port slap-configuration:configuration.port\n  key password password:passwd\n  section directory directory\noutput = ${directory:etc}/j%d.conf\n", i))
	}
	for i := range 8 {
		add(fmt.Sprintf("plain-%d", i), fmt.Sprintf("recipe = slapos.recipe.template\ninline = x ${directory:etc}\noutput = ${directory:etc}/p%d.conf\n", i))
	}
	for i := range 6 {
		add(fmt.Sprintf("promise-%d", i), fmt.Sprintf("recipe = slapos.cookbook:check_port_listening\nhostname = 127.0.0.1\nport = %d\npath = ${directory:promise}/p%d\n", 8000+i, i))
	}
	add("publish", "recipe = slapos.cookbook:publish\nurl = http://127.0.0.1:${slap-configuration:configuration.port}/\npassword = ${password:passwd}\n")
	return "[buildout]\nparts =\n  " + strings.Join(parts, "\n  ") + "\n\n" + strings.Join(sections, "\n")
}

// BenchmarkNothingToChange is a run of fifty parts of which none changed. The goal is 5 ms.
func BenchmarkNothingToChange(b *testing.B) {
	p, w := place(b, fiftyParts()), newFakeWorld()
	first := run1(b, p, w)
	if len(first.Parts) != 50 {
		b.Fatalf("%d parts", len(first.Parts))
	}
	b.ReportAllocs()
	for b.Loop() {
		if result := run1(b, p, w); result.Changed {
			b.Fatal("something changed")
		}
	}
}

// BenchmarkFirstRun installs the fifty parts, each file synced to disk.
func BenchmarkFirstRun(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		p, w := place(b, fiftyParts()), newFakeWorld()
		b.StartTimer()
		run1(b, p, w)
	}
}

func TestFiftyPartsSettle(t *testing.T) {
	p, w := place(t, fiftyParts()), newFakeWorld()
	run1(t, p, w)
	if again := run1(t, p, w); again.Changed || len(again.Parts) != 50 {
		t.Errorf("%d parts, changed %v", len(again.Parts), again.Changed)
	}
}
