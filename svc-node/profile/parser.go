package profile

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Loader reads a file that a profile extends. location is what the profile says (a path beside the profile
// that says it, or an absolute one); from is the file that says it, as named by an earlier answer or by Parse.
// It returns the file's full name, by which further extends find their way and errors name it.
type Loader func(location, from string) (name string, source []byte, err error)

// Parse reads a profile and everything it extends. Errors are *Error; a nil loader refuses any extends.
func Parse(name string, source []byte, load Loader) (*Document, error) {
	p := &parse{load: load}
	doc, err := p.file(name, source, nil)
	if err != nil {
		return nil, err
	}
	doc.Name = name
	doc.Files = p.files
	return doc, nil
}

type parse struct {
	load  Loader
	files []string
}

// file parses one file on top of what it extends. stack names the files being extended, to tell cycles.
func (p *parse) file(name string, source []byte, stack []string) (*Document, error) {
	at := Position{File: name, Line: 1}
	if slices.Contains(stack, name) {
		return nil, &Error{
			Position: at, Section: "buildout", Option: "extends",
			Problem: "cannot extend in a circle: " + strings.Join(append(stack, name), " → "),
		}
	}
	if len(stack) >= MaxExtendsDepth {
		return nil, &Error{
			Position: at, Section: "buildout", Option: "extends",
			Problem: fmt.Sprintf("cannot extend deeper than %d files", MaxExtendsDepth),
		}
	}
	if len(p.files) >= MaxFiles {
		return nil, &Error{Position: at, Problem: fmt.Sprintf("cannot read more than %d files for one profile", MaxFiles)}
	}
	if len(source) > MaxFileBytes {
		return nil, &Error{Position: at, Problem: fmt.Sprintf("cannot read a profile of %d bytes, at most %d", len(source), MaxFileBytes)}
	}
	own, err := parseFile(name, string(source))
	if err != nil {
		return nil, err
	}
	result := own
	if b, ok := own.sections["buildout"]; ok {
		if extends, ok := b.options["extends"]; ok {
			delete(b.options, "extends")
			result = &Document{sections: map[string]*Section{}}
			for _, location := range strings.Fields(extends.value()) {
				base, err := p.extend(location, name, extends, append(stack[:len(stack):len(stack)], name))
				if err != nil {
					return nil, err
				}
				result.merge(base)
			}
			result.merge(own)
		}
	}
	p.files = append(p.files, name)
	if len(result.sections) > MaxSections {
		return nil, &Error{Position: at, Problem: fmt.Sprintf("cannot use a profile of %d sections, at most %d", len(result.sections), MaxSections)}
	}
	if n := result.optionCount(); n > MaxOptions {
		return nil, &Error{Position: at, Problem: fmt.Sprintf("cannot use a profile of %d options, at most %d", n, MaxOptions)}
	}
	return result, nil
}

func (p *parse) extend(location, from string, says Option, stack []string) (*Document, error) {
	fail := func(cause error) error {
		return &Error{
			Position: says.Position, Section: "buildout", Option: "extends",
			Problem: fmt.Sprintf("cannot read %q: %v", location, cause), Cause: cause,
		}
	}
	if strings.Contains(location, "${") {
		return nil, fail(fmt.Errorf("extends is read before references are resolved"))
	}
	if p.load == nil {
		return nil, fail(fmt.Errorf("this profile may not extend others"))
	}
	name, source, err := p.load(location, from)
	if err != nil {
		return nil, fail(err)
	}
	return p.file(name, source, stack)
}

// lineParser holds what the parser of one file knows between lines.
type lineParser struct {
	doc     *Document
	section *Section
	skip    bool // inside a conditional section that does not apply
	option  string
	block   bool // the value started on the line after "=": relative indentation is kept
	lines   []string
	at      Position
	op      byte // 0, '+' or '-'
}

// parseFile parses one file without what it extends.
func parseFile(name, source string) (*Document, error) {
	p := &lineParser{doc: &Document{sections: map[string]*Section{}}}
	source = strings.TrimPrefix(source, "\ufeff")
	number := 0
	for len(source) > 0 {
		line := source
		if i := strings.IndexByte(source, '\n'); i >= 0 {
			line, source = source[:i], source[i+1:]
		} else {
			source = ""
		}
		number++
		if err := p.line(strings.TrimSuffix(line, "\r"), Position{File: name, Line: number}); err != nil {
			return nil, err
		}
	}
	p.finish()
	return p.doc, nil
}

func (p *lineParser) line(line string, at Position) error {
	if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
		return nil
	}
	blank := strings.TrimSpace(line) == ""
	if blank || line[0] == ' ' || line[0] == '\t' {
		switch {
		case p.skip:
		case p.option != "":
			if !p.block {
				line = strings.TrimSpace(line)
				if line == "" {
					return nil
				}
			}
			p.lines = append(p.lines, strings.TrimRight(line, " \t\v\f"))
		case !blank:
			return &Error{Position: at, Problem: fmt.Sprintf("cannot read %q: an indented line continues an option, and there is none above", excerpt(line))}
		}
		return nil
	}
	p.finish()
	if line[0] == '[' {
		return p.header(line, at)
	}
	if rest, ok := strings.CutPrefix(line, "=>"); ok {
		line = "<part-dependencies> = " + rest
	}
	return p.start(line, at)
}

// header reads "[name]" or "[name:expression]", with an optional comment after it.
func (p *lineParser) header(line string, at Position) error {
	end := closingBracket(line)
	if end < 0 {
		return &Error{Position: at, Problem: fmt.Sprintf("cannot read the section header %q: no closing bracket", excerpt(line))}
	}
	if rest := strings.TrimSpace(line[end+1:]); rest != "" && rest[0] != '#' && rest[0] != ';' {
		return &Error{Position: at, Problem: fmt.Sprintf("cannot read the section header %q: text after the closing bracket", excerpt(line))}
	}
	name, expression, conditional := strings.Cut(line[1:end], ":")
	name = strings.TrimSpace(name)
	if name == "" || strings.ContainsAny(name, " \t#[]{};") {
		return &Error{Position: at, Problem: fmt.Sprintf("cannot use %q as the name of a section", excerpt(name))}
	}
	p.skip = false
	if conditional {
		holds, err := evaluateCondition(strings.TrimSpace(expression))
		if err != nil {
			return &Error{Position: at, Section: name, Problem: fmt.Sprintf("cannot evaluate the condition %q: %v", excerpt(expression), err), Cause: err}
		}
		if !holds {
			p.skip, p.section = true, nil
			return nil
		}
	}
	section, ok := p.doc.sections[name]
	if !ok {
		section = &Section{Name: name, Position: at, Base: path.Dir(at.File), options: map[string]Option{}}
		p.doc.sections[name] = section
	}
	p.section = section
	return nil
}

// closingBracket finds the bracket that ends a header, skipping quoted ones in a condition.
func closingBracket(line string) int {
	quote := byte(0)
	for i := 1; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == ']':
			return i
		}
	}
	return -1
}

// start reads the first line of an option.
func (p *lineParser) start(line string, at Position) error {
	if p.skip {
		return nil
	}
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		section := ""
		if p.section != nil {
			section = p.section.Name
		}
		return &Error{Position: at, Section: section, Problem: fmt.Sprintf("cannot read %q: neither a section, nor an option with =, nor an indented continuation", excerpt(line))}
	}
	name = strings.TrimRight(name, " \t")
	op := byte(0)
	if strings.HasSuffix(name, "+") || strings.HasSuffix(name, "-") {
		op = name[len(name)-1]
		name = strings.TrimRight(name[:len(name)-1], " \t")
	}
	if name == "" || strings.ContainsAny(name, " \t{}[]:") {
		return &Error{Position: at, Problem: fmt.Sprintf("cannot use %q as the name of an option", excerpt(name))}
	}
	if p.section == nil {
		return &Error{Position: at, Option: name, Problem: "cannot place this option: no section stands above it"}
	}
	value = strings.TrimSpace(value)
	p.option, p.op, p.at, p.block, p.lines = name, op, at, value == "", []string{value}
	return nil
}

// finish stores the option whose lines have been read.
func (p *lineParser) finish() {
	if p.option == "" {
		return
	}
	text := p.lines[0]
	if p.block {
		text = dedent(p.lines)
	} else if len(p.lines) > 1 {
		text = strings.Join(p.lines, "\n")
	}
	option := Option{Name: p.option, Position: p.at}
	if p.op == 0 {
		option.assigned, option.text = true, text
	} else {
		option.edits = []edit{{remove: p.op == '-', text: text}}
	}
	if existing, ok := p.section.options[p.option]; ok {
		option = option.over(existing)
	}
	p.section.options[p.option] = option
	p.option, p.lines = "", nil
}

// dedent removes the common indentation, and blank lines at both ends; inner ones stay.
func dedent(lines []string) string {
	first, last := 0, len(lines)
	for first < last && strings.TrimSpace(lines[first]) == "" {
		first++
	}
	for last > first && strings.TrimSpace(lines[last-1]) == "" {
		last--
	}
	lines = lines[first:last]
	margin, found := "", false
	for _, line := range lines {
		if strings.TrimSpace(line) == "" {
			continue
		}
		indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
		if !found {
			margin, found = indent, true
			continue
		}
		n := 0
		for n < len(margin) && n < len(indent) && margin[n] == indent[n] {
			n++
		}
		margin = margin[:n]
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimPrefix(line, margin)
		if strings.TrimSpace(line) == "" {
			out[i] = ""
		}
	}
	return strings.Join(out, "\n")
}

// excerpt keeps error messages readable whatever the file holds.
func excerpt(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
