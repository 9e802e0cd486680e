package profile

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var testEnvironment = Environment{
	BuildoutDirectory: "/srv/slappart0", ComputerID: "COMP-1", PartitionID: "slappart0",
	SoftwareReleaseURL: "http://release/", RequestedState: "started", Executable: "/usr/bin/vow",
	Parameters: map[string]string{"name": "given", "empty": "", "tricky": "${slap-connection:computer-id}"},
}

func resolve(t *testing.T, source string, provide Provide) *Resolved {
	t.Helper()
	resolved, err := Resolve(parsed(t, source, nil), testEnvironment, provide)
	if err != nil {
		t.Fatal(err)
	}
	return resolved
}

func (r *Resolved) part(name string) Part {
	for _, p := range r.Parts {
		if p.Name == name {
			return p
		}
	}
	return Part{}
}

func names(r *Resolved) string {
	var all []string
	for _, p := range r.Parts {
		all = append(all, p.Name)
	}
	return strings.Join(all, " ")
}

func sameParts(a, b *Resolved) bool { return reflect.DeepEqual(a, b) }

func TestReferencesAreResolved(t *testing.T) {
	r := resolve(t, `[buildout]
parts = a
[a]
recipe = r
directory = ${buildout:directory}/etc
bin = ${buildout:bin-directory}
own = ${:directory}/x
escaped = $${not:this} and ${b:y}
name = ${:_buildout_section_name_}
base = ${:_profile_base_location_}
node = ${slap_connection:computer_id} ${slap-connection:software-release-url} ${slap-connection:requested-state}
vow = ${vow:executable}
given = ${slap-parameter:name}
default = ${slap-parameter:empty}
literal = ${slap-parameter:tricky}
[b]
x = 1
y = ${:x}${c:z}
[c]
z = 2
[slap-parameter]
name = default name
empty = default
`, nil)
	for option, want := range map[string]string{
		"directory": "/srv/slappart0/etc", "bin": "/srv/slappart0/sbin", "own": "/srv/slappart0/etc/x",
		"escaped": "${not:this} and 12", "name": "a", "base": ".", "node": "COMP-1 http://release/ started",
		"vow": "/usr/bin/vow", "given": "given", "default": "default", "literal": "${slap-connection:computer-id}",
	} {
		if got := r.part("a").Options[option].String(); got != want {
			t.Errorf("%s is %q, want %q", option, got, want)
		}
	}
}

func TestPartsComeAfterWhatTheyReferTo(t *testing.T) {
	r := resolve(t, `[buildout]
parts = last first only-refers
[first]
recipe = r
[only-refers]
recipe =
x = ${unused-too:recipe}
[unused-too]
recipe = r
[middle]
recipe = r
x = ${first:recipe}
[last]
recipe = r
=> extra
x = ${middle:recipe} ${plain:x}
[extra]
recipe = r
[plain]
x = ${hidden:recipe}
[hidden]
recipe = r
[unused]
recipe = r
x = ${nowhere:y}
`, nil)
	if want := "first middle hidden extra last unused-too"; names(r) != want {
		t.Errorf("parts are %s, want %s", names(r), want)
	}
}

func TestMacrosGiveOptionsInOrder(t *testing.T) {
	r := resolve(t, `[buildout]
parts = a
[a]
<= one two slap-connection
x = own
list += c
[one]
recipe = r
x = one
y = one
list = a
[two]
<= three
y = two
list += b
name = ${:_buildout_section_name_}
[three]
z = three
`, nil)
	for option, want := range map[string]string{"x": "own", "y": "two", "z": "three", "list": "a\nb\nc", "name": "a", "recipe": "r", "computer-id": "COMP-1"} {
		if got := r.part("a").Options[option].String(); got != want {
			t.Errorf("%s is %q, want %q", option, got, want)
		}
	}
}

func TestResolutionErrorsNameTheirPlaceAndWhatWasMeant(t *testing.T) {
	for source, want := range map[string]string{
		"[buildout]\nparts = web\n[wbe]\nrecipe = r\n":                                `instance.cfg:2: [buildout] parts: cannot find a section [web]; did you mean "wbe"?`,
		"[buildout]\nparts = a\n[a]\nx = 1\n":                                         "instance.cfg:3: [a] recipe: cannot install this part: it has no recipe",
		"[buildout]\nparts = a\n[a]\nrecipe = r\nx = ${slap-connecton:computer-id}\n": `instance.cfg:5: [a] x: cannot resolve ${slap-connecton:computer-id}: there is no section [slap-connecton]; did you mean "slap-connection"?`,
		"[buildout]\nparts = a\n[a]\nrecipe = r\nx = ${b:prot}\n[b]\nport = 1\n":      `instance.cfg:5: [a] x: cannot resolve ${b:prot}: there is no option prot in section [b]; did you mean "port"?`,
		"[buildout]\nparts = a\n[a]\nrecipe = r\nx = ${b:y}\n[b]\ny = ${a:x}\n":       "cannot resolve ${a:x}: it refers to itself",
		"[buildout]\nparts = a\n[a]\nrecipe = r\nx = ${:x}\n":                         "instance.cfg:5: [a] x: cannot resolve ${a:x}: it refers to itself",
		"[buildout]\nparts = a\n[a]\nrecipe = r\nx = ${HOME}\n":                       "instance.cfg:5: [a] x: cannot resolve ${HOME}: a reference is ${section:option}",
		"[buildout]\nparts = a\n[a]\nrecipe = r\nx = ${b:c\n":                         "no closing brace",
		"[buildout]\nparts = a\n[a]\n<= b\n[b]\n<= a\nrecipe = r\n":                   "cannot use macros in a circle: a → b → a",
		"[buildout]\nparts = a\n[a]\n<= macroo\n[macro]\nrecipe = r\n":                `cannot find the section [macroo] to take options from; did you mean "macro"?`,
		"[buildout]\nparts = a\n[a]\nrecipe = r\nx =\n  1\n  ${nope:x}\n":             "instance.cfg:5: [a] x: cannot resolve ${nope:x}",
		"[buildout]\nparts = a\n[a]\nrecipe = r\nx = ${b$c:y}\n":                      "names in a reference are made of",
	} {
		_, err := Resolve(parsed(t, source, nil), testEnvironment, nil)
		var e *Error
		if err == nil || !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func TestRunawayProfilesEndWithAnError(t *testing.T) {
	doubling := "[buildout]\nparts = a\n[a]\nrecipe = r\nx0 = 0123456789\n"
	for i := 1; i < 60; i++ {
		doubling += fmt.Sprintf("x%d = ${:x%d}${:x%d}\n", i, i-1, i-1)
	}
	chain := "[buildout]\nparts = s0\n"
	for i := range 1000 {
		chain += fmt.Sprintf("[s%d]\nrecipe = r\nx = ${s%d:x}\n", i, i+1)
	}
	macros := "[buildout]\nparts = s0\n"
	for i := range 1000 {
		macros += fmt.Sprintf("[s%d]\n<= s%d s%d\n", i, i+1, i+1)
	}
	for name, source := range map[string]string{"doubling": doubling, "chain": chain, "macros": macros} {
		if _, err := Resolve(parsed(t, source, nil), testEnvironment, nil); err == nil {
			t.Errorf("%s: resolved", name)
		}
	}
}

func TestRecipesProvideOptionsWhenAsked(t *testing.T) {
	var asked []string
	r := resolve(t, `[buildout]
parts = publish
[publish]
recipe = publish
url = http://${request:connection-host}/
all = ${request:everything}
mixed = all: ${request:everything}
[request]
recipe = request
port = ${port:value}
[port]
recipe = port
`, func(s *Scope) (Provided, error) {
		asked = append(asked, s.Name())
		switch s.Recipe() {
		case "port":
			return Provided{Options: map[string]Value{"value": Text("80")}, Volatile: []string{"value"}}, nil
		case "request":
			port, _ := s.Get("port")
			return Provided{Options: map[string]Value{"connection-host": Text("host:" + port.String()), "everything": Structured(map[string]any{"a": 1.0})}}, nil
		}
		return Provided{}, nil
	})
	if strings.Join(asked, " ") != "port request publish" {
		t.Errorf("recipes were asked in the order %v", asked)
	}
	publish := r.part("publish").Options
	if publish["url"].String() != "http://host:80/" || !publish["all"].IsStructured() || publish["mixed"].String() != `all: {'a': 1}` {
		t.Errorf("publish is %v", publish)
	}
	if _, counted := func() (string, bool) { p := r.part("port"); v, ok := p.Fingerprints()["value"]; return v, ok }(); counted {
		t.Error("a volatile option counts as a change")
	}
}

func TestWhatIsNotAvailableMakesItsReadersWaitAndNobodyElse(t *testing.T) {
	r := resolve(t, `[buildout]
parts = publish alone
[publish]
recipe = publish
url = ${web:connection-url}
also = ${other:connection-url}
[web]
recipe = request
config-store = ${store:connection-url}
[store]
recipe = request
[other]
recipe = request
[alone]
recipe = wrapper
`, func(s *Scope) (Provided, error) {
		if s.Recipe() == "request" {
			return Provided{Waiting: s.Name() + " is not ready"}, nil
		}
		return Provided{}, nil
	})
	for name, reason := range map[string]string{"store": "store is not ready", "web": "store is not ready", "publish": "other is not ready", "other": "other is not ready"} {
		if w := r.part(name).Waiting; w == nil || w.Reason != reason {
			t.Errorf("%s waits for %v, want %q", name, w, reason)
		}
	}
	if w := r.part("alone").Waiting; w != nil {
		t.Errorf("alone waits for %v", w)
	}
}

func TestResolvingTwiceIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 8).Draw(t, "sections")
		var b strings.Builder
		b.WriteString("[buildout]\nparts = s0\n")
		for i := range n {
			fmt.Fprintf(&b, "[s%d]\nrecipe = r\nx = %d\n", i, i)
			for j := range rapid.IntRange(0, 4).Draw(t, "options") {
				fmt.Fprintf(&b, "o%d = ${s%d:x}-${:x}\n", j, rapid.IntRange(0, n-1).Draw(t, "target"))
			}
		}
		doc, err := Parse("p.cfg", []byte(b.String()), nil)
		if err != nil {
			t.Fatal(err)
		}
		first, err1 := Resolve(doc, testEnvironment, nil)
		second, err2 := Resolve(doc, testEnvironment, nil)
		if err1 != nil || err2 != nil || !sameParts(first, second) {
			t.Fatalf("resolving twice differs: %v %v", err1, err2)
		}
		seen := map[string]bool{}
		for _, p := range first.Parts {
			if seen[p.Name] {
				t.Fatalf("%s is installed twice", p.Name)
			}
			seen[p.Name] = true
		}
	})
}

func TestLiteralsAreData(t *testing.T) {
	r := resolve(t, "[buildout]\nparts = a\n[a]\nrecipe = r\nx = !py!{'a': [1, 2.5, None, True], u'b': ('it\\'s', \"\\x24{x}\"),}\ny = ${:x}\nz = !py!'plain'\ns = !py!set(['q'])\n", nil)
	want := map[string]any{"a": []any{1.0, 2.5, nil, true}, "b": []any{"it's", "${x}"}}
	if got := r.part("a").Options["y"].Data(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v", got)
	}
	if got := r.part("a").Options["z"]; got.IsStructured() || got.String() != "plain" {
		t.Errorf("got %#v", got)
	}
	if got := r.part("a").Options["s"].Data(); !reflect.DeepEqual(got, []any{"q"}) {
		t.Errorf("got %#v", got)
	}
	for _, wrong := range []string{"", "[1", "'x", "{1: 2}", "nonsense", "[1] 2", strings.Repeat("[", 500), "'\\x2", "nan"} {
		if v, err := parseLiteral(wrong); err == nil {
			t.Errorf("%q is %v", wrong, v)
		}
	}
}

func FuzzLiteral(f *testing.F) {
	f.Add("{'a': [1, 2.5, None, True], u'b': ('x', \"y\")}")
	f.Fuzz(func(t *testing.T, text string) {
		if v, err := parseLiteral(text); err == nil {
			_ = Structured(v).String()
		}
	})
}
