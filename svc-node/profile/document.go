package profile

import (
	"maps"
	"sort"
	"strings"
)

// Document is a parsed profile with everything it extends merged in. It is read-only once parsed, so it may
// be kept by the hash of its sources and resolved any number of times, also concurrently.
type Document struct {
	// Name is the file's name as given to Parse.
	Name string
	// Files lists every file read, the profile itself last, with duplicates as read.
	Files    []string
	sections map[string]*Section
}

// Section is one [section] of a document.
type Section struct {
	Name string
	// Position is where the section is first written.
	Position Position
	// Base is the location of the file that says most recently what the section is
	// (_profile_base_location_).
	Base    string
	options map[string]Option
}

// Option is one option of a section: an assignment, edits (+= and -=) of what it extends, or both.
type Option struct {
	Name     string
	Position Position
	// assigned tells "x =" from an option that only edits.
	assigned bool
	text     string
	edits    []edit
}

// edit is one += (add) or -= (remove) of lines.
type edit struct {
	remove bool
	text   string
}

// literal says that an option is of the environment, not of a file, and taken as it is.
func (o Option) literal() bool { return o.Position.Line == 0 }

// value applies the edits, a line at a time as buildout does.
func (o Option) value() string {
	if len(o.edits) == 0 {
		return o.text
	}
	var lines []string
	if o.assigned {
		lines = strings.Split(o.text, "\n")
	}
	for _, e := range o.edits {
		changed := strings.Split(e.text, "\n")
		if !e.remove {
			lines = append(lines, changed...)
			continue
		}
		gone := make(map[string]bool, len(changed))
		for _, line := range changed {
			gone[line] = true
		}
		kept := lines[:0:0]
		for _, line := range lines {
			if !gone[line] {
				kept = append(kept, line)
			}
		}
		lines = kept
	}
	return strings.Join(lines, "\n")
}

// over returns the option with this one written over base.
func (o Option) over(base Option) Option {
	if o.assigned {
		return o
	}
	merged := base
	merged.Position = o.Position
	merged.edits = append(append([]edit(nil), base.edits...), o.edits...)
	return merged
}

// mergeOptions writes over onto base, in place.
func mergeOptions(base, over map[string]Option) {
	for name, option := range over {
		if existing, ok := base[name]; ok {
			option = option.over(existing)
		}
		base[name] = option
	}
}

// SectionNames lists the document's sections in alphabetical order.
func (d *Document) SectionNames() []string {
	names := make([]string, 0, len(d.sections))
	for name := range d.sections {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Raw returns an option as written, edits applied, references not resolved.
func (d *Document) Raw(section, option string) (string, bool) {
	s, ok := d.sections[section]
	if !ok {
		return "", false
	}
	o, ok := s.options[option]
	return o.value(), ok
}

// merge writes the other document's sections over this one's.
func (d *Document) merge(over *Document) {
	for name, section := range over.sections {
		existing, ok := d.sections[name]
		if !ok {
			d.sections[name] = section
			continue
		}
		merged := &Section{Name: name, Position: existing.Position, Base: section.Base, options: make(map[string]Option, len(existing.options)+len(section.options))}
		maps.Copy(merged.options, existing.options)
		mergeOptions(merged.options, section.options)
		d.sections[name] = merged
	}
}

// optionCount counts the options of all sections.
func (d *Document) optionCount() int {
	n := 0
	for _, s := range d.sections {
		n += len(s.options)
	}
	return n
}
