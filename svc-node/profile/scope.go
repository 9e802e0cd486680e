package profile

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Name is the section's name.
func (s *Scope) Name() string { return s.name }

// Recipe is the section's recipe, or empty.
func (s *Scope) Recipe() string { return s.recipe }

// Position says where an option is written, or the section when it is written nowhere.
func (s *Scope) Position(option string) Position {
	if o, ok := s.raw[option]; ok && o.Position.Line > 0 {
		return o.Position
	}
	return s.position
}

// Get returns an option that is already resolved; ok is false when the section does not have it.
func (s *Scope) Get(option string) (Value, bool) {
	v, ok := s.values[option]
	return v, ok
}

// Require returns an option, resolving it if needed, or an *Error that says that it is missing.
func (s *Scope) Require(option string) (Value, error) { return s.get(option) }

// Options lists the names of the options known by now, in alphabetical order.
func (s *Scope) Options() []string {
	names := slices.AppendSeq(make([]string, 0, len(s.values)+len(s.raw)), maps.Keys(s.values))
	names = slices.AppendSeq(names, maps.Keys(s.raw))
	slices.Sort(names)
	return slices.Compact(names)
}

// Lookup returns an option of another section, as ${section:option} would; an empty section is this one.
// option names, for errors, which option of this section asks.
func (s *Scope) Lookup(section, name, option string) (Value, error) {
	other := s
	if section != "" {
		var err error
		if other, err = s.resolver.section(section, s.Position(option)); err != nil {
			return Value{}, s.place(err, option)
		}
	}
	v, err := other.get(name)
	if err != nil {
		return Value{}, s.place(err, option)
	}
	return v, nil
}

// Section returns another section, initialised unless that is under way.
func (s *Scope) Section(name, option string) (*Scope, error) {
	other, err := s.resolver.section(name, s.Position(option))
	if err != nil {
		return nil, s.place(err, option)
	}
	return other, nil
}

// HasSection says whether there is a section of that name.
func (s *Scope) HasSection(name string) bool {
	_, ok := s.resolver.doc.sections[name]
	return ok || s.resolver.layers.has(name)
}

// Waiting says why the section waits, or nil.
func (s *Scope) Waiting() *Unavailable { return s.waiting }

// Override sets an option of a section before its recipe is asked. It reports an error when that section is
// initialised already, since its recipe would never see the option.
func (s *Scope) Override(section, name string, value Value, option string) error {
	if _, ok := s.resolver.scopes[section]; ok {
		return &Error{
			Position: s.Position(option), Section: s.name, Option: option,
			Problem: fmt.Sprintf("cannot set ${%s:%s}: something refers to [%s] before this section does", section, name, section),
		}
	}
	if s.resolver.overrides[section] == nil {
		s.resolver.overrides[section] = map[string]Value{}
	}
	s.resolver.overrides[section][name] = value
	return nil
}

// get resolves one option of the section.
func (s *Scope) get(option string) (Value, error) {
	if v, ok := s.values[option]; ok {
		return v, nil
	}
	raw, ok := s.raw[option]
	if !ok {
		if s.waiting != nil {
			return Value{}, s.waiting
		}
		problem := fmt.Sprintf("cannot find an option %s in section [%s]", option, s.name)
		if _, recipe := s.raw["recipe"]; recipe && !s.ready {
			problem += ", whose recipe cannot be asked for it before this reference is resolved"
		}
		return Value{}, &Error{Position: s.position, Problem: problem, Suggestion: Suggest(option, s.Options())}
	}
	if slices.Contains(s.busy, option) {
		return Value{}, &Error{
			Position: raw.Position, Section: s.name, Option: option,
			Problem: fmt.Sprintf("cannot resolve ${%s:%s}: it refers to itself, directly or through others", s.name, option),
		}
	}
	text, literal := raw.value(), raw.literal()
	if literal || !strings.Contains(text, "${") {
		v := Text(text)
		if data, ok := strings.CutPrefix(text, literalMark); ok && !literal {
			decoded, err := parseLiteral(data)
			if err != nil {
				return Value{}, s.wrong(option, fmt.Sprintf("cannot read the literal: %v", err))
			}
			v = Structured(decoded)
		}
		if err := s.resolver.spend(len(text), s, option); err != nil {
			return Value{}, err
		}
		s.values[option] = v
		return v, nil
	}
	if err := s.resolver.enter(raw.Position, s.name); err != nil {
		return Value{}, err
	}
	defer s.resolver.leave()
	s.busy = append(s.busy, option)
	v, err := s.substitute(text, option)
	s.busy = s.busy[:len(s.busy)-1]
	if err != nil {
		return Value{}, err
	}
	if err := s.resolver.spend(len(v.text), s, option); err != nil {
		return Value{}, err
	}
	s.values[option] = v
	return v, nil
}

// Substitute resolves the references of a text as if it stood in the given option: what templates in
// buildout's own syntax need.
func (s *Scope) Substitute(text, option string) (Value, error) { return s.substitute(text, option) }

func (s *Scope) substitute(text, option string) (Value, error) {
	var b strings.Builder
	rest := text
	for {
		i := strings.Index(rest, "${")
		if i < 0 {
			b.WriteString(rest)
			return Text(b.String()), nil
		}
		if i > 0 && rest[i-1] == '$' {
			b.WriteString(rest[:i-1] + "${")
			rest = rest[i+2:]
			continue
		}
		b.WriteString(rest[:i])
		end := strings.IndexByte(rest[i:], '}')
		if end < 0 {
			return Value{}, s.wrong(option, fmt.Sprintf("cannot resolve %q: no closing brace", excerpt(rest[i:])))
		}
		reference := rest[i+2 : i+end]
		v, err := s.reference(reference, option)
		if err != nil {
			return Value{}, err
		}
		if i == 0 && b.Len() == 0 && len(rest) == len(text) && end == len(rest)-1 {
			return v, nil // exactly one reference: structured data keeps its structure
		}
		part := v.String()
		if b.Len()+len(part) > MaxValueBytes {
			return Value{}, s.resolver.spend(MaxValueBytes+1, s, option)
		}
		b.WriteString(part)
		rest = rest[i+end+1:]
	}
}

func (s *Scope) reference(reference, option string) (Value, error) {
	section, name, ok := strings.Cut(reference, ":")
	if !ok {
		return Value{}, s.wrong(option, fmt.Sprintf("cannot resolve ${%s}: a reference is ${section:option}; write $${ for a literal ${", excerpt(reference)))
	}
	if !plainName(section) || !plainName(name) || name == "" {
		return Value{}, s.wrong(option, fmt.Sprintf("cannot resolve ${%s}: names in a reference are made of letters, digits, blanks and . _ -", excerpt(reference)))
	}
	v, err := s.Lookup(section, name, option)
	if err != nil {
		var e *Error
		if errors.As(err, &e) && e.Section == s.name && e.Option == option && strings.HasPrefix(e.Problem, "cannot find ") {
			named := *e
			named.Problem = fmt.Sprintf("cannot resolve ${%s}: %s", reference, strings.Replace(named.Problem, "cannot find a", "there is no", 1))
			named.Problem = strings.Replace(named.Problem, "there is non ", "there is no ", 1)
			return Value{}, &named
		}
		return Value{}, err
	}
	return v, nil
}

// place gives an error without a section the section and option that asked.
func (s *Scope) place(err error, option string) error {
	var e *Error
	if errors.As(err, &e) && e.Section == "" {
		placed := *e
		placed.Position, placed.Section, placed.Option = s.Position(option), s.name, option
		return &placed
	}
	return err
}

func (s *Scope) wrong(option, problem string) error {
	return &Error{Position: s.Position(option), Section: s.name, Option: option, Problem: problem}
}

// plainName says whether a name may stand in a reference.
func plainName(name string) bool {
	for _, c := range name {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(" ._-<>", c)) {
			return false
		}
	}
	return true
}
