package fleet_test

import "strings"

// archive is a txtar file: a script, then files, each after a line "-- name --".
type archive struct {
	script string
	names  []string
	files  map[string]string
}

func parseArchive(text string) *archive {
	a := &archive{files: map[string]string{}}
	var name string
	var at strings.Builder
	end := func() {
		if name == "" {
			a.script = at.String()
		} else {
			a.names = append(a.names, name)
			a.files[name] = at.String()
		}
		at.Reset()
	}
	for line := range strings.Lines(text) {
		if inner, ok := strings.CutPrefix(strings.TrimSpace(line), "-- "); ok {
			if title, ok := strings.CutSuffix(inner, " --"); ok {
				end()
				name = title
				continue
			}
		}
		at.WriteString(line)
	}
	end()
	return a
}

func (a *archive) file(name string) (string, bool) {
	text, ok := a.files[name]
	return text, ok
}

func (a *archive) set(name, text string) {
	if _, ok := a.files[name]; !ok {
		a.names = append(a.names, name)
	}
	a.files[name] = text
}

func (a *archive) String() string {
	var text strings.Builder
	text.WriteString(a.script)
	for _, name := range a.names {
		text.WriteString("-- " + name + " --\n" + a.files[name])
	}
	return text.String()
}
