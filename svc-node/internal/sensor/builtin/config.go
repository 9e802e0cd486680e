package builtin

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// maxWindow bounds result-count, as the contract does.
const maxWindow = 1000

// Config reads a declaration's configuration and collects what is wrong with it. An empty value is no value (docs/rules.md,
// empty parameter).
type Config struct {
	values map[string]string
	err    error
}

func (c *Config) problem(key, what string) {
	c.err = errors.Join(c.err, fmt.Errorf("cannot use %s %q: it %s", key, c.values[key], what))
}

// Text is a value without surrounding white space.
func (c *Config) Text(key, otherwise string) string {
	if text := strings.TrimSpace(c.values[key]); text != "" {
		return text
	}
	return otherwise
}

// Int is a whole number.
func (c *Config) Int(key string, otherwise int) int {
	text := c.Text(key, "")
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		c.problem(key, "is a whole number")
		return otherwise
	}
	return n
}

// Float is a number.
func (c *Config) Float(key string, otherwise float64) float64 {
	text := c.Text(key, "")
	if text == "" {
		return otherwise
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		c.problem(key, "is a number")
		return otherwise
	}
	return f
}

// Bool is a switch: 1, true, yes and on; 0, false, no and off.
func (c *Config) Bool(key string, otherwise bool) bool {
	switch strings.ToLower(c.Text(key, "")) {
	case "":
		return otherwise
	case "1", "true", "yes", "y", "on":
		return true
	case "0", "false", "no", "n", "off", "none":
		return false
	}
	c.problem(key, "is true or false")
	return otherwise
}

// Rule is the window of two keys.
func (c *Config) Rule(resultCount, failureAmount string, rc, fa int) Rule {
	r := Rule{ResultCount: c.Int(resultCount, rc), FailureAmount: c.Int(failureAmount, fa)}
	if r.ResultCount < 1 || r.ResultCount > maxWindow {
		c.problem(resultCount, "is 1 to 1000")
	}
	if r.FailureAmount < 1 || r.FailureAmount > r.ResultCount {
		c.problem(failureAmount, "is 1 to "+resultCount)
	}
	return r
}
