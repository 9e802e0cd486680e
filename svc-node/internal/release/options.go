package release

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/vow-os/vow/kit/schema"
)

// MinPeriodicity is the floor of a release's periodicity (docs/rules.md, release periodicity file).
const MinPeriodicity = time.Minute

// Policy is the scope of a bang.
type Policy string

// The policies that a release may ask for.
const (
	PolicyTree      Policy = "tree"
	PolicyAncestors Policy = "ancestors"
)

// Options is what a release says about its own instances, in files of its directory.
type Options struct {
	// Periodicity is the longest time between two runs; 0 = the release adds none.
	Periodicity time.Duration
	// BangQuota is meant when HasQuota; 0 = unlimited.
	BangQuota uint32
	HasQuota  bool
	// Policy is empty when the release says nothing.
	Policy Policy
	// Schema is software.cfg.json and the schemas that it names; nil = the release ships none, or they cannot be used.
	Schema []schema.File
	// Error says what is wrong with the files; what they should have said is as if they were absent.
	Error string
}

// Options reads the files periodicity, bang-quota and bang-policy of an installed release, and its schemas.
func (r *Root) Options(releaseURL string) Options {
	var o Options
	var problems []string
	u, err := r.user()
	if err != nil {
		return Options{Error: "cannot use the release's options: " + err.Error()}
	}
	read := func(name string, take func(text string) error) {
		text, err := r.readOption(u, releaseURL, name)
		if err == nil && text != "" {
			err = take(text)
		}
		if err != nil {
			problems = append(problems, fmt.Sprintf("cannot use the file %s: %v", name, err))
		}
	}
	read("periodicity", func(text string) error {
		seconds, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no number of seconds", text)
		}
		if seconds >= 0 {
			o.Periodicity = max(time.Duration(seconds)*time.Second, MinPeriodicity)
		}
		return nil
	})
	read("bang-quota", func(text string) error {
		quota, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is no number of bangs a day", text)
		}
		o.BangQuota, o.HasQuota = uint32(quota), true
		return nil
	})
	read("bang-policy", func(text string) error {
		if p := Policy(text); p == PolicyTree || p == PolicyAncestors {
			o.Policy = p
			return nil
		}
		return fmt.Errorf("%q is neither tree nor ancestors", text)
	})
	files, unusable, err := schema.Bundle(func(name string) ([]byte, error) { return r.readSchema(u, releaseURL, name) })
	if err != nil {
		unusable = []string{err.Error()}
	}
	o.Schema = files
	o.Error = strings.Join(append(problems, unusable...), "; ")
	return o
}
