package profile

import (
	"fmt"
	"strings"
	"testing"
)

// files is a Loader over a map; relative locations are looked up as they are.
func files(all map[string]string) Loader {
	return func(location, _ string) (string, []byte, error) {
		source, ok := all[location]
		if !ok {
			return "", nil, fmt.Errorf("no such file")
		}
		return location, []byte(source), nil
	}
}

func parsed(t *testing.T, source string, load Loader) *Document {
	t.Helper()
	doc, err := Parse("instance.cfg", []byte(source), load)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

func raw(t *testing.T, doc *Document, section, option, want string) {
	t.Helper()
	if got, ok := doc.Raw(section, option); !ok || got != want {
		t.Errorf("[%s] %s is %q (%v), want %q", section, option, got, ok, want)
	}
}

func TestOptionsContinueOnIndentedLines(t *testing.T) {
	doc := parsed(t, `# a comment
[a]
one = 1
  and more
# a comment in the middle of a value

  still more
block =
    first
      indented
    last

empty =
with-equals = a=b = c
-dashed = x
spaced   =   y  
; another comment
[b]  # comment after a header
x = 1
[a]
late = 2
`, nil)
	raw(t, doc, "a", "one", "1\nand more\nstill more")
	raw(t, doc, "a", "block", "first\n  indented\nlast")
	raw(t, doc, "a", "empty", "")
	raw(t, doc, "a", "with-equals", "a=b = c")
	raw(t, doc, "a", "-dashed", "x")
	raw(t, doc, "a", "spaced", "y")
	raw(t, doc, "a", "late", "2")
	raw(t, doc, "b", "x", "1")
}

func TestEditsAddAndRemoveLinesOfWhatIsExtended(t *testing.T) {
	load := files(map[string]string{
		"base.cfg":  "[buildout]\nextends = deep.cfg\nparts += b\n[x]\nlist =\n  1\n  2\n  3\n",
		"deep.cfg":  "[buildout]\nparts = a\n[x]\nlist = 0\nonly = deep\n",
		"other.cfg": "[x]\nother = yes\nonly = other\n",
	})
	doc := parsed(t, "[buildout]\nextends =\n  base.cfg\n  other.cfg\nparts +=\n  c\n[x]\nlist -= 2\nlist += 4\nnew += n\n", load)
	raw(t, doc, "buildout", "parts", "a\nb\nc")
	raw(t, doc, "x", "list", "1\n3\n4")
	raw(t, doc, "x", "new", "n")
	raw(t, doc, "x", "only", "other")
	if want := "deep.cfg base.cfg other.cfg instance.cfg"; strings.Join(doc.Files, " ") != want {
		t.Errorf("files are %v, want %s", doc.Files, want)
	}
}

func TestConditionalSectionsApplyWhenTheyHold(t *testing.T) {
	doc := parsed(t, `[a:linux and not windows]
x = linux
[a:windows or (darwin and bits64)]
x = other
  continued
# the condition ends at the next header
[b:python3]
y = 3
`, nil)
	raw(t, doc, "a", "x", "linux")
	raw(t, doc, "b", "y", "3")
}

func TestParseErrorsNameTheirPlace(t *testing.T) {
	load := files(map[string]string{"circle.cfg": "[buildout]\nextends = instance.cfg\n", "instance.cfg": "[buildout]\nextends = circle.cfg\n"})
	for source, want := range map[string]string{
		"[a]\nnonsense\n":                        `instance.cfg:2: [a]: cannot read "nonsense"`,
		"[a\n":                                   "instance.cfg:1: cannot read the section header",
		"[]\n":                                   "instance.cfg:1: cannot use \"\" as the name of a section",
		"x = 1\n":                                "instance.cfg:1: x: cannot place this option",
		"  x\n":                                  "instance.cfg:1: cannot read \"  x\": an indented line continues an option",
		"[a:haiku]\n":                            `instance.cfg:1: [a]: cannot evaluate the condition "haiku"`,
		"[buildout]\nextends = none.cfg\n":       `instance.cfg:2: [buildout] extends: cannot read "none.cfg": no such file`,
		"[buildout]\nextends = circle.cfg\n":     "cannot extend in a circle: instance.cfg → circle.cfg → instance.cfg",
		"[buildout]\nextends = ${a:b}\n":         "extends is read before references are resolved",
		"[a]\nb c = 1\n":                         `instance.cfg:2: cannot use "b c" as the name of an option`,
		"[a] trailing\n":                         "text after the closing bracket",
		strings.Repeat("x", MaxFileBytes+1):      "at most 1048576",
		"[a:" + strings.Repeat("(", 500) + "]\n": "nested deeper than",
	} {
		_, err := Parse("instance.cfg", []byte(source), load)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: got %v, want %s", source, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("[buildout]\nparts = a\n[a]\nrecipe = x\n<= b\nx = ${b:y} $${z}\n[b:linux]\ny += 1\n  2\n")
	f.Add("[a]\nb =\n\n   c\n  d\n[a]\nb -= d\n")
	f.Add("[buildout]\nparts = a\nextends = a b\n[a]\nrecipe=r\nx=${:x}\n")
	f.Fuzz(func(t *testing.T, source string) {
		doc, err := Parse("f.cfg", []byte(source), func(location, _ string) (string, []byte, error) {
			return location, []byte("[b]\ny = 1\n"), nil
		})
		if err != nil {
			return
		}
		first, err := Resolve(doc, Environment{BuildoutDirectory: "/p", Parameters: map[string]string{"a": "${b}"}}, nil)
		second, again := Resolve(doc, Environment{BuildoutDirectory: "/p", Parameters: map[string]string{"a": "${b}"}}, nil)
		if fmt.Sprint(err) != fmt.Sprint(again) || !sameParts(first, second) {
			t.Errorf("resolving twice differs: %v, %v", err, again)
		}
	})
}
