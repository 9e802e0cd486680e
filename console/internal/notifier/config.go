package notifier

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/vow-os/vow/console/notify"
)

const (
	// maxReceivers and maxSilences bound the file.
	maxReceivers = 50
	maxSilences  = 1000
	// defaultHold and defaultGroup are what hold and group are if the file does not say; maxWait is the most.
	defaultHold  = 30 * time.Second
	defaultGroup = 30 * time.Second
	maxWait      = time.Hour
	// maxSecret bounds a file with a secret or a URL.
	maxSecret = 64 << 10
)

// config is the file of --notify.
type config struct {
	Link     string           `json:"link"`
	Hold     string           `json:"hold"`
	Group    string           `json:"group"`
	Webhooks []webhook        `json:"webhooks"`
	Mails    []mailbox        `json:"mails"`
	Silences []notify.Silence `json:"silences"`

	rules notify.Rules
	// receivers by name.
	receivers map[string]receiver
}

// read reads and checks the file; errors name what is wrong in it.
func read(file string) (*config, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read --notify: %w", err)
	}
	c := &config{}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(c); err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("cannot use --notify=%s: %w", file, err)
	}
	return c, nil
}

func (c *config) check() (err error) {
	if c.Link != "" {
		if u, err := url.Parse(c.Link); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return fmt.Errorf("link %q: want http://… or https://…", c.Link)
		}
		c.Link = strings.TrimRight(c.Link, "/")
	}
	if c.rules.Hold, err = span("hold", c.Hold, defaultHold); err != nil {
		return err
	}
	if c.rules.Group, err = span("group", c.Group, defaultGroup); err != nil {
		return err
	}
	if len(c.Silences) > maxSilences {
		return fmt.Errorf("%d silences: want %d at most", len(c.Silences), maxSilences)
	}
	for _, s := range c.Silences {
		if _, err := path.Match(s.Things, ""); err != nil || s.Things == "" || s.Until.IsZero() {
			return fmt.Errorf("silence of %q: want a pattern of things and until when", s.Things)
		}
	}
	c.rules.Silences, c.receivers = c.Silences, map[string]receiver{}
	add := func(name string, r receiver, err error) error {
		switch _, known := c.receivers[name]; {
		case err != nil:
			return fmt.Errorf("receiver %q: %w", name, err)
		case name == "" || known:
			return fmt.Errorf("receiver %q: want each with a name of its own", name)
		}
		c.receivers[name] = r
		c.rules.Receivers = append(c.rules.Receivers, name)
		return nil
	}
	for _, w := range c.Webhooks {
		if err := add(w.Name, w, w.check()); err != nil {
			return err
		}
	}
	for _, m := range c.Mails {
		if err := add(m.Name, m, m.check()); err != nil {
			return err
		}
	}
	if n := len(c.receivers); n == 0 || n > maxReceivers {
		return fmt.Errorf("%d receivers: want 1 to %d webhooks and mails", n, maxReceivers)
	}
	return nil
}

func span(field, text string, unless time.Duration) (time.Duration, error) {
	if text == "" {
		return unless, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 || d > maxWait {
		return 0, fmt.Errorf("%s %q: want a duration up to %s, as 30s", field, text, maxWait)
	}
	return d, nil
}

func (w webhook) check() error {
	switch {
	case (w.URL == "") == (w.URLFile == ""):
		return errors.New("want url or url_file, one of both")
	case w.URL != "":
		return checkURL(w.URL)
	}
	return nil
}

// checkURL does not repeat it: it may hold a secret.
func checkURL(text string) error {
	if u, err := url.Parse(text); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return errors.New("its URL is none: want http://… or https://…")
	}
	return nil
}

func (m mailbox) check() error {
	if _, _, err := net.SplitHostPort(m.Server); err != nil {
		return fmt.Errorf("server %q: want host:port", m.Server)
	}
	if _, err := mail.ParseAddress(m.From); err != nil {
		return fmt.Errorf("from %q: want an address", m.From)
	}
	if len(m.To) == 0 || len(m.To) > maxReceivers {
		return fmt.Errorf("%d addresses in to: want 1 to %d", len(m.To), maxReceivers)
	}
	for _, to := range m.To {
		if _, err := mail.ParseAddress(to); err != nil {
			return fmt.Errorf("to %q: want an address", to)
		}
	}
	switch {
	case m.TLS != "" && m.TLS != "starttls" && m.TLS != "none":
		return fmt.Errorf("tls %q: want starttls or none", m.TLS)
	case m.TLS == "none" && m.Username != "":
		return errors.New("a password is sent over TLS only: want tls starttls, or no username")
	case (m.Username == "") != (m.PasswordFile == ""):
		return errors.New("want username and password_file, or none of both")
	}
	return nil
}

// secret reads a file that holds one.
func secret(file string) (string, error) {
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxSecret {
		err = fmt.Errorf("%s is larger than %d bytes", file, maxSecret)
	}
	if err != nil {
		return "", err
	}
	content, err := os.ReadFile(file)
	return strings.TrimSpace(string(content)), err
}
