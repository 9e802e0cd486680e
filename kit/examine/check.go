package examine

import "fmt"

// Level is how a check ended; its values are those of vow.examine.v1.Verdict.
type Level int32

// Levels, in order of how bad they are.
const (
	OK   Level = 1
	Warn Level = 2
	Fail Level = 3
)

// Check is one thing that was looked at.
type Check struct {
	// Name of what was looked at.
	Name string
	// Level is how it is.
	Level Level
	// Found is what was found, for people.
	Found string
	// Advice is what to do; empty when all is well.
	Advice string
}

// Tell is the check for whoever knows its parts but not the type: gen/examination, which cannot import this package.
func (c Check) Tell() (name string, verdict int32, found, advice string) {
	return c.Name, int32(c.Level), c.Found, c.Advice
}

// Well is a check without a finding.
func Well(name, found string, args ...any) Check {
	return Check{Name: name, Level: OK, Found: fmt.Sprintf(found, args...)}
}

// Bad is a check with one.
func Bad(level Level, name, advice, found string, args ...any) Check {
	return Check{Name: name, Level: level, Found: fmt.Sprintf(found, args...), Advice: advice}
}
