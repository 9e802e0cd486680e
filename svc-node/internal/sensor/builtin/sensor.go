package builtin

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	typev1 "github.com/vow-os/vow/gen/vow/type/v1"
	"github.com/vow-os/vow/svc-node/internal/privilege"
	"github.com/vow-os/vow/svc-node/internal/sensor/child"
)

// Sensor is one built-in sensor: a description that docs/sensors.md is generated from, and what it does.
type Sensor struct {
	// Name is that of the slapos.toolbox module.
	Name string
	// Summary is one sentence.
	Summary string
	// Example is a config, as JSON: that of a declaration which a person may begin with.
	Example string
	Options []Option
	// Period is the time between two sensings that the module asks for.
	Period time.Duration
	// Windows tells for people what test and anomaly look at, and whether an anomaly bangs.
	Windows string
	// prepare reads the configuration into a Check. What it cannot use it notes in the Config.
	prepare func(c *Config) Check
}

// Option describes one key of the configuration.
type Option struct {
	Name     string
	Required bool
	// Default is what an absent key means, for people; empty means nothing.
	Default string
	// Text is one sentence.
	Text string
}

// common are keys that every promise has, read or not.
var common = []Option{
	{Name: "frequency", Text: "Minutes between two sensings; fractions are allowed."},
	{Name: "promise-timeout", Text: "Accepted: the declaration's `timeout` is what counts."},
	{Name: "partition-id", Text: "Accepted."},
	{Name: "computer-id", Text: "Accepted."},
	{Name: "partition-key", Text: "Accepted."},
	{Name: "partition-cert", Text: "Accepted."},
	{Name: "master-url", Text: "Accepted."},
	{Name: "slapgrid-version", Text: "Accepted."},
	{Name: "bang-on-failure", Text: "false: its anomalies do not bang."},
	{Name: "periodicity", Text: "Minutes between two sensings."},
}

// Rule is a window over the newest groups; the zero value is the default, 1 of 1.
type Rule struct{ ResultCount, FailureAmount int }

// Check is a sensor with its configuration.
type Check struct {
	// Sensor is its name.
	Sensor string
	// Period is the time between two sensings; 0 = the default of all promises.
	Period time.Duration
	// Testless: runs do not sense it. Anomalyless: only runs do.
	Testless, Anomalyless bool
	// Quiet says that its anomalies never bang: they need a person, or are another's fault.
	Quiet         bool
	Test, Anomaly Rule

	sense func(ctx context.Context, s *Sensing)
}

// Place is where a promise is sensed.
type Place struct {
	Partition string
	// Directory is the partition's, absolute.
	Directory string
	Env       []string
	// User is the partition's.
	User    privilege.User
	Timeout time.Duration
}

// Machine is what sensors of one node share.
type Machine struct {
	runner *child.Runner
	memory memory
}

// NewMachine makes it; the runner executes commands.
func NewMachine(runner *child.Runner) *Machine { return &Machine{runner: runner} }

// Sensing is one execution of a sensor: where it happens and what it recorded so far.
type Sensing struct {
	Place
	machine *Machine
	group   typev1.SenseGroup
}

// Sense executes the check.
func (c *Check) Sense(ctx context.Context, m *Machine, place Place) *typev1.SenseGroup {
	s := &Sensing{Place: place, machine: m}
	s.group.Test, s.group.Anomaly, s.group.BangDisabled = c.Test.message(), c.Anomaly.message(), c.Quiet
	c.sense(ctx, s)
	return &s.group
}

func (r Rule) message() *typev1.Rule {
	if r == (Rule{}) {
		return nil
	}
	return &typev1.Rule{ResultCount: uint32(r.ResultCount), FailureAmount: uint32(r.FailureAmount)} //nolint:gosec // Config.Rule bounds both
}

func (s *Sensing) info(format string, args ...any) {
	s.add(typev1.LogLevel_LOG_LEVEL_INFO, fmt.Sprintf(format, args...))
}

func (s *Sensing) warning(format string, args ...any) {
	s.add(typev1.LogLevel_LOG_LEVEL_WARNING, fmt.Sprintf(format, args...))
}

func (s *Sensing) error(format string, args ...any) {
	s.add(typev1.LogLevel_LOG_LEVEL_ERROR, fmt.Sprintf(format, args...))
}

func (s *Sensing) add(level typev1.LogLevel, message string) {
	if len(message) > child.MaxCharacters { // bytes are at least characters
		message = child.Last(strings.ToValidUTF8(message, "\uFFFD"), child.MaxCharacters)
	}
	s.group.Entries = append(s.group.Entries, &typev1.LogEntry{Level: level, Message: message})
}

func (s *Sensing) value(v float64) { s.group.Value = &v }

// asUser does what touches files with the rights of the partition's user.
func (s *Sensing) asUser(work func() error) error { return s.User.Do(work) }

// Sensors lists the built-in sensors by name.
func Sensors() []Sensor {
	all := []Sensor{
		socketListening(),
		urlAvailable(),
		commandExecute(),
		fileState(),
		freeDiskSpace(),
		certificate(),
		serviceState(),
		ramUsage(),
		serverCPULoad(),
		interfaceUp(),
		partitionDeploymentState(),
	}
	slices.SortFunc(all, func(a, b Sensor) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

// modulePrefix is what the modules' names begin with in Python.
const modulePrefix = "slapos.promise.plugin."

// Find returns the sensor of a module's name, with or without its package.
func Find(module string) (Sensor, bool) {
	name := strings.TrimPrefix(module, modulePrefix)
	for _, s := range Sensors() {
		if s.Name == name {
			return s, true
		}
	}
	return Sensor{}, false
}

// Prepare reads a declaration. unknown are the keys that the sensor does not read. An error says why the promise cannot
// be sensed as it is declared.
func Prepare(sensor string, config map[string]string) (check *Check, unknown []string, err error) {
	s, ok := Find(sensor)
	if !ok {
		names := make([]string, 0, len(Sensors()))
		for _, one := range Sensors() {
			names = append(names, one.Name)
		}
		return nil, nil, fmt.Errorf("no built-in sensor is called %q (%s are)", sensor, strings.Join(names, ", "))
	}
	c := &Config{values: config}
	for _, o := range s.Options {
		if o.Required && c.Text(o.Name, "") == "" {
			return nil, nil, fmt.Errorf("%s needs %s in its config", s.Name, o.Name)
		}
	}
	made := s.prepare(c)
	made.Sensor = s.Name
	if made.Period == 0 {
		made.Period = s.Period
	}
	for _, key := range []string{"frequency", "periodicity"} { // the second wins, as setPeriodicity does with the key in SlapOS' base
		if c.Text(key, "") != "" {
			made.Period = time.Duration(c.Float(key, 0) * float64(time.Minute))
			if made.Period <= 0 {
				c.problem(key, "is above 0 minutes")
			}
		}
	}
	if !c.Bool("bang-on-failure", true) {
		made.Quiet = true
	}
	if c.err != nil {
		return nil, nil, fmt.Errorf("%s: %w", s.Name, c.err)
	}
	for key := range config {
		if !slices.ContainsFunc(slices.Concat(s.Options, common), func(o Option) bool { return o.Name == key }) {
			unknown = append(unknown, key)
		}
	}
	slices.Sort(unknown)
	return &made, unknown, nil
}
