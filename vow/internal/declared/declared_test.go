package declared

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"google.golang.org/protobuf/types/known/durationpb"
	"pgregory.net/rapid"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
)

const fleet = `
software:
  - release: ./hello
    computers: [laptop, server]
  - release: https://example.org/old.tar.gz
    computers: [laptop]
    state: destroyed
trees:
  - title: hello
    release: ./hello
    type: small
    state: started
    computer: laptop
    retention_delay: 3d
    parameters:
      port: 0080
      on: yes
      empty: ""
  - title: structured
    release: file:///opt/x
    serialised:
      list: [1, two, {three: 3.0}]
`

func read(t *testing.T, text string) *File {
	t.Helper()
	f, err := Read([]byte(text), "fleet.yaml", "/etc/fleet")
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Of a fleet that has nothing, everything is created, releases before trees; texts stay as they are written, paths become URLs.
func TestAFileIsWhatIsRequested(t *testing.T) {
	changes := read(t, fleet).Plan(Current{})
	var told []string
	for _, c := range changes {
		told = append(told, fmt.Sprintf("%s %s %s", c.Action, c.Kind, c.Name))
	}
	want := "create software file:///etc/fleet/hello on laptop\ncreate software file:///etc/fleet/hello on server\nkeep software https://example.org/old.tar.gz on laptop\ncreate tree hello\ncreate tree structured"
	if got := strings.Join(told, "\n"); got != want {
		t.Fatalf("got\n%s\nwant\n%s", got, want)
	}
	r := changes[3].Request
	if r.GetSoftwareRelease() != "file:///etc/fleet/hello" || r.GetSoftwareType() != "small" || r.GetComputer() != "laptop" || r.GetRetentionDelay().AsDuration() != 72*time.Hour ||
		len(r.GetParameters()) != 2 || r.GetParameters()["port"] != "0080" || r.GetParameters()["on"] != "yes" {
		t.Errorf("requested %v", r)
	}
	if got := changes[4].Request.GetParameters()["_"]; got != `{"list":[1,"two",{"three":3}]}` {
		t.Errorf("serialised is %s", got)
	}
}

// A mistake is told with its line and what is wanted.
func TestMistakesAreToldWithTheirLine(t *testing.T) {
	for text, want := range map[string]string{
		"trees:\n- title: a\n  relaese: x\n":              `line 3: "relaese" is not known here; want one of title, release`,
		"tree: []\n":                                      "line 1: field tree not found",
		"trees:\n- title: a\n":                            `line 2: tree "a" wants a ` + "`release:`",
		"trees:\n- release: x\n":                          "line 2: a tree wants a `title:`",
		"trees:\n- title: a\n  release: x\n  state: on\n": `line 2: tree "a": state "on": want started, stopped or destroyed`,
		"trees:\n- title: a\n  release: x\n  parameters:\n    b: {c: 1}\n":          "line 5: a parameter is a text; structured ones go below `serialised:`",
		"trees:\n- title: a\n  release: x\n- title: a\n  release: y\n":              `line 4: tree "a" is in line 2 already`,
		"trees:\n- title: a\n  release: x\n  retention_delay: long\n":               `retention_delay "long": want 72h or 3d`,
		"trees:\n- title: a\n  release: x\n  retention_delay: 9999d\n":              "at most 3650d",
		"trees:\n- title: a\n  release: x\n  parameters: {_: x}\n  serialised: 1\n": "which are the same",
		"trees:\n- just text\n":                                       "line 2: want keys and values: title",
		"software:\n- release: x\n":                                   "line 2: a software release wants `release:` and `computers:`",
		"software:\n- release: x\n  computers: [a, a]\n":              "is named for computer a in line 2 already",
		"software:\n- release: x\n  computers: [a]\n  state: built\n": `line 2: state "built": want available or destroyed`,
		"trees: []\n---\ntrees: []\n":                                 "want one document",
		"trees: [\n":                                                  "cannot read fleet.yaml: yaml: line",
		strings.Repeat("#", MaxSize+1):                                "and may have",
	} {
		_, err := Read([]byte(text), "fleet.yaml", "/")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "cannot read fleet.yaml: ") {
			t.Errorf("%.80q: got %v, want %q", text, err, want)
		}
	}
}

// Whoever mends one mistake wants to see the others too.
func TestAllMistakesAreToldAtOnce(t *testing.T) {
	for text, want := range map[string][]string{
		"software:\n- relese: x\ntrees:\n- title: a\n  relaese: x\n  computr: y\n- title: b\n  release: x\n  parameters: {c: [1]}\n": {"line 2: ", "line 5: ", "line 6: ", "line 9: "},
		"software:\n- release: x\n  computers: [a]\n  state: built\ntrees:\n- title: a\n- title: b\n  release: x\n  state: on\n":     {"line 2: ", "line 6: ", "line 7: "},
		"trees:\n" + strings.Repeat("- release: x\n", maxMistakes+2):                                                                 {"and 2 more"},
	} {
		_, err := Read([]byte(text), "fleet.yaml", "/")
		if err == nil {
			t.Errorf("%q is read", text)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), "\n  "+w) {
				t.Errorf("%q is not in %v", w, err)
			}
		}
	}
}

func root(change func(*masterv1.Instance)) Current {
	i := &masterv1.Instance{
		Title: "hello", SoftwareRelease: "file:///etc/fleet/hello", SoftwareType: "small", State: typev1.RequestedState_REQUESTED_STATE_STARTED,
		RequestedComputer: "laptop", Computer: "laptop", Partition: "slappart0", Parameters: map[string]string{"port": "0080", "on": "yes"},
		RetentionDelay: durationpb.New(72 * time.Hour),
	}
	change(i)
	return Current{Roots: map[string]*masterv1.Instance{"hello": i}}
}

// Only what differs is changed, and each difference is told, without the values of secrets.
func TestOnlyWhatDiffersIsChanged(t *testing.T) {
	file := strings.SplitAfter(fleet, "empty: \"\"\n")[0]
	for name, c := range map[string]struct {
		file string
		now  Current
		want string
	}{
		"nothing":         {file, root(func(*masterv1.Instance) {}), "keep [] []"},
		"release":         {file, root(func(i *masterv1.Instance) { i.SoftwareRelease = "https://me:pw@example.org/x" }), "change [{release https://REDACTED@example.org/x file:///etc/fleet/hello}] []"},
		"state":           {file, root(func(i *masterv1.Instance) { i.State = typev1.RequestedState_REQUESTED_STATE_STOPPED }), "change [{state stopped started}] []"},
		"parameter gone":  {file, root(func(i *masterv1.Instance) { i.Parameters["old"] = "1" }), "change [{parameters.old 1 }] []"},
		"secret":          {file, root(func(i *masterv1.Instance) { i.Parameters["db-password"] = "s3cret" }), "change [{parameters.db-password (hidden) }] []"},
		"other computer":  {file, root(func(i *masterv1.Instance) { i.Computer = "server" }), "keep [] [it stays on server, where its data is]"},
		"retention":       {file, root(func(i *masterv1.Instance) { i.RetentionDelay = nil }), "keep [] [retention_delay stays 0s, as its first request said]"},
		"being destroyed": {file, root(func(i *masterv1.Instance) { i.State = typev1.RequestedState_REQUESTED_STATE_DESTROYED }), "keep [] [it is being destroyed: apply again when it is gone]"},
		"destroy":         {"trees: [{title: hello, state: destroyed}]", root(func(*masterv1.Instance) {}), "destroy [] []"},
		"order of keys": {
			"trees: [{title: hello, release: hello, type: small, retention_delay: 72h, serialised: {a: {x: 1}, b: 2}}]",
			root(func(i *masterv1.Instance) { i.Parameters = map[string]string{"_": `{"b": 2, "a": {"x": 1}}`} }), "keep [] []",
		},
		"a leaf": {
			"trees: [{title: hello, release: hello, type: small, retention_delay: 72h, serialised: {a: {x: 1, token: new}, b: [2]}}]",
			root(func(i *masterv1.Instance) { i.Parameters = map[string]string{"_": `{"a": {"x": 3, "token": "old"}}`} }),
			"change [{parameters._.a.token (hidden) (hidden)} {parameters._.a.x 3 1} {parameters._.b[0]  2}] []",
		},
	} {
		changes := read(t, c.file).Plan(c.now)
		last := changes[len(changes)-1]
		if got := fmt.Sprintf("%s %v %v", last.Action, last.Fields, last.Notes); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
		if (last.Request == nil) != (last.Action == Keep) {
			t.Errorf("%s: %s, request %v", name, last.Action, last.Request)
		}
	}
}

// What is exported is read again, and applying it changes nothing.
func TestWhatIsExportedChangesNothing(t *testing.T) {
	text := rapid.OneOf(rapid.String().Filter(func(s string) bool { return s != "" && strings.ToValidUTF8(s, "") == s }), rapid.SampledFrom([]string{
		"yes", "0080", "~", "null", "1e3", "a: b", "- x", "{}", "\n", " x", "x ", "'", "\"", "2026-01-01", `{"a": 12345678901234567890}`, `{"b": 1.0}`, `{"a": [1, null, {"x": "<&>"}]}`, "{", "\t", "0x10", "!!binary x", "*a", "&a", "#", "|", "=",
	}))
	printable := func(s string) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return r == 0xfffe || r == 0xffff || r == 0xfeff })
	}
	title := func(s string) bool { return printable(s) && !strings.ContainsFunc(s, unicode.IsControl) } // as svc-master takes them
	rapid.Check(t, func(t *rapid.T) {
		now := Current{Roots: map[string]*masterv1.Instance{}}
		for _, title := range rapid.SliceOfNDistinct(text.Filter(title), 0, 4, rapid.ID[string]).Draw(t, "titles") {
			i := &masterv1.Instance{
				Title: title, SoftwareRelease: "file:///" + rapid.StringMatching(`[a-z]{1,5}`).Draw(t, "release"), SoftwareType: rapid.SampledFrom([]string{"default", "small"}).Draw(t, "type"),
				State:             rapid.SampledFrom([]typev1.RequestedState{typev1.RequestedState_REQUESTED_STATE_STARTED, typev1.RequestedState_REQUESTED_STATE_STOPPED}).Draw(t, "state"),
				RequestedComputer: rapid.SampledFrom([]string{"", "laptop"}).Draw(t, "computer"),
				Parameters:        rapid.MapOfN(rapid.OneOf(rapid.Just("_"), text.Filter(printable)), text.Filter(printable), 0, 4).Draw(t, "parameters"),
			}
			if d := time.Duration(rapid.IntRange(0, 100).Draw(t, "hours")) * time.Hour; d > 0 {
				i.RetentionDelay = durationpb.New(d)
			}
			if rapid.Bool().Draw(t, "shared") {
				i.Shared, i.HostId = true, rapid.SampledFrom([]string{"", "t1.i1"}).Draw(t, "hosted")
				if host := rapid.SampledFrom([]string{"", "t1.i1"}).Draw(t, "host"); host != "" {
					i.Sla = &masterv1.Sla{HostId: host}
				}
			}
			now.Roots[title] = i
			now.Software = append(now.Software, &masterv1.Software{SoftwareRelease: i.GetSoftwareRelease(), Computer: "laptop", Requested: masterv1.SoftwareState_SOFTWARE_STATE_AVAILABLE})
		}
		out, err := Export(now)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Read(out, "export", "/")
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		if len(f.Trees) != len(now.Roots) {
			t.Fatalf("%d of %d trees in\n%s", len(f.Trees), len(now.Roots), out)
		}
		for _, c := range f.Plan(now) {
			if c.Action != Keep || len(c.Notes) > 0 {
				t.Fatalf("%+v after\n%s", c, out)
			}
		}
	})
}

// Nothing that a file may hold stops the reader, and what it takes it plans.
func FuzzRead(f *testing.F) {
	f.Add([]byte(fleet))
	f.Add([]byte("trees: [{title: a, release: b, serialised: {1: 2}}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Read(data, "fleet.yaml", "/")
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cannot read fleet.yaml:") {
				t.Fatal(err)
			}
			return
		}
		file.Plan(Current{})
	})
}
