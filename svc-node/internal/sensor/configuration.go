package sensor

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/svc-node/internal/sensor/builtin"
)

// configuration is etc/promise/<name>.json. bang-on-failure may be a JSON boolean or the words true and false, as
// profiles write options. Periodicity is in seconds: docs/rules.md, executables in `etc/promise`.
type configuration struct {
	Periodicity   *float64        `json:"periodicity"`
	Timeout       *float64        `json:"timeout"`
	BangOnFailure json.RawMessage `json:"bang-on-failure"`
}

// declaration is etc/plugin/<name>.json. Periodicity is in minutes, as in SlapOS for plugins.
type declaration struct {
	Sensor        string                     `json:"sensor"`
	Config        map[string]json.RawMessage `json:"config"`
	Periodicity   *float64                   `json:"periodicity"`
	Timeout       *float64                   `json:"timeout"`
	BangOnFailure json.RawMessage            `json:"bang-on-failure"`
	Testless      bool                       `json:"testless"`
	Anomalyless   bool                       `json:"anomalyless"`
}

var declarationKeys = []string{"sensor", "config", "periodicity", "timeout", "bang-on-failure", "testless", "anomalyless"}

// configure applies etc/promise/<name>.json.
func (p *Promise) configure(path string) {
	var problems []string
	problem := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	defer func() {
		if len(problems) > 0 {
			p.note("cannot use %s: %s", filepath.Base(path), strings.Join(problems, "; "))
		}
	}()
	content, err := readConfig(path)
	if err != nil {
		problem("%v", err)
		return
	}
	var c configuration
	if err := json.Unmarshal(content, &c); err != nil {
		problem("%v", err)
		return
	}
	if c.Periodicity != nil {
		if d, ok := seconds(*c.Periodicity, MinPeriod, 24*time.Hour); ok {
			p.Period = d
		} else {
			problem("periodicity is 1 to 86400 seconds")
		}
	}
	p.common(c.Timeout, c.BangOnFailure, problem)
}

// declare applies etc/plugin/<name>.json. What is wrong with a time uses the default and is told; a sensor that is not
// there, or a value that it cannot use, breaks the promise: it must not pass.
func (p *Promise) declare(path string) {
	cannot := func(format string, args ...any) {
		p.Broken = "cannot sense " + p.File + ": " + fmt.Sprintf(format, args...)
	}
	content, err := readConfig(path)
	if err != nil {
		cannot("%v", err)
		return
	}
	p.Declaration = content
	var d declaration
	var keys map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(content, &d), json.Unmarshal(content, &keys)); err != nil {
		cannot("%v", err)
		return
	}
	problem := func(format string, args ...any) { p.note("in "+p.File+" "+format, args...) }
	for key := range keys {
		if !slices.Contains(declarationKeys, key) {
			problem("%q is no key of a declaration (%s are)", key, strings.Join(declarationKeys, ", "))
		}
	}
	if d.Sensor == "" {
		cannot("it names no sensor")
		return
	}
	config, err := scalars(d.Config)
	if err != nil {
		cannot("%v", err)
		return
	}
	check, unknown, err := builtin.Prepare(d.Sensor, config)
	if err != nil {
		cannot("%v", err)
		return
	}
	for _, key := range unknown {
		problem("config has the key %q, which %s does not read", key, d.Sensor)
	}
	p.Check = check
	p.Testless, p.Anomalyless = d.Testless || check.Testless, d.Anomalyless || check.Anomalyless
	if p.Testless && p.Anomalyless {
		cannot("it is not allowed to disable both test and anomaly in a promise")
	}
	if check.Period > 0 {
		p.Period = min(max(check.Period, MinPeriod), MaxPeriod)
	}
	if d.Periodicity != nil {
		if period, ok := Minutes(*d.Periodicity); ok {
			p.Period = period
		} else {
			problem("periodicity is %.3g to %.0f minutes", MinPeriod.Minutes(), MaxPeriod.Minutes())
		}
	}
	p.common(d.Timeout, d.BangOnFailure, problem)
}

// common applies what both files may say.
func (p *Promise) common(timeout *float64, bangOnFailure json.RawMessage, problem func(string, ...any)) {
	if timeout != nil {
		if d, ok := seconds(*timeout, time.Millisecond, MaxTimeout); ok {
			p.Timeout = d
		} else {
			problem("timeout is above 0 and at most 600 seconds")
		}
	}
	switch strings.ToLower(strings.Trim(string(bangOnFailure), `"`)) {
	case "", "null", "true", "1":
	case "false", "0":
		p.BangDisabled = true
	default:
		problem("bang-on-failure is true or false")
	}
}

// scalars makes text of the values of a declaration's config, as a profile would have written them.
func scalars(config map[string]json.RawMessage) (map[string]string, error) {
	texts := make(map[string]string, len(config))
	for key, raw := range config {
		raw = bytes.TrimSpace(raw)
		switch {
		case len(raw) > 0 && raw[0] == '"':
			var text string
			if err := json.Unmarshal(raw, &text); err != nil {
				return nil, err
			}
			texts[key] = text
		case string(raw) == "null": // no option
		case string(raw) == "true":
			texts[key] = "1"
		case string(raw) == "false":
			texts[key] = "0"
		case len(raw) > 0 && raw[0] != '{' && raw[0] != '[':
			texts[key] = string(raw)
		default:
			return nil, fmt.Errorf("the value of config %q is neither text, a number, true nor false", key)
		}
	}
	return texts, nil
}

// readConfig reads a file of a partition that may be anything its user made of it.
func readConfig(path string) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // a file of the partition
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() > maxConfig || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("not a file of at most %d bytes", maxConfig)
	}
	return io.ReadAll(io.LimitReader(f, maxConfig))
}

// Minutes is a period that a promise asks for in minutes, as SlapOS' promises do; false = it cannot have it.
func Minutes(value float64) (time.Duration, bool) { return seconds(value*60, MinPeriod, MaxPeriod) }

func seconds(value float64, least, most time.Duration) (time.Duration, bool) {
	if math.IsNaN(value) || value < least.Seconds() || value > most.Seconds() {
		return 0, false
	}
	return time.Duration(value * float64(time.Second)), true
}
