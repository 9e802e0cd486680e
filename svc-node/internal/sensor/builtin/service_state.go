package builtin

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// maxAnswer bounds what a supervisord may answer in bytes.
const maxAnswer = 256 << 10

// serviceState is check_service_state.
func serviceState() Sensor {
	return Sensor{
		Name:    "check_service_state",
		Summary: "Fails unless a program of a supervisord is running or stopped, as it should be.",
		Example: `{"service": "group:web", "expect": "running", "run-directory": "var/run"}`,
		Options: []Option{
			{Name: "service", Text: "Name of the program, with its group: `group:program`."},
			{Name: "expect", Text: "`running` or `stopped`; anything else: any state will do."},
			{Name: "run-directory", Default: "srv/runner/var/run", Text: "Folder with the supervisord's socket `sv.sock`, relative to the partition's directory unless absolute; opened as the partition's user."},
			{Name: "result-count", Default: "3", Text: "Window of the anomaly: groups looked at."},
			{Name: "failure-amount", Default: "3", Text: "Window of the anomaly: how many of them must have failed."},
		},
		Period:  usual,
		Windows: "test 1 of 1; anomaly failure-amount of result-count, bangs",
		prepare: func(c *Config) Check {
			service, expect, folder := c.Text("service", ""), c.Text("expect", ""), c.Text("run-directory", "srv/runner/var/run")
			return Check{
				Anomaly: c.Rule("result-count", "failure-amount", 3, 3),
				sense: func(ctx context.Context, s *Sensing) {
					switch {
					case expect != "running" && expect != "stopped":
						s.info("OK service %s is allowed to be in any state (expect = %s)", pythontext.Quote(service), pythontext.Quote(expect))
						return
					case service == "":
						s.error("ERROR no service is specified")
						return
					}
					at := folder
					if !filepath.IsAbs(at) {
						at = filepath.Join(s.Directory, at)
					}
					state, err := s.programState(ctx, filepath.Join(at, "sv.sock"), service)
					switch {
					case err != nil:
						s.error("ERROR %s", fileErrorRepr(err))
					case state != expect:
						s.error("ERROR service %s is in state %s (expected %s)", pythontext.Quote(service), pythontext.Quote(state), pythontext.Quote(expect))
					default:
						s.info("OK service %s is in expected state %s", pythontext.Quote(service), pythontext.Quote(state))
					}
				},
			}
		},
	}
}

// programState asks a supervisord over its unix socket.
func (s *Sensing) programState(ctx context.Context, socket, program string) (string, error) {
	var call bytes.Buffer
	call.WriteString(`<?xml version="1.0"?><methodCall><methodName>supervisor.getProcessInfo</methodName><params><param><value><string>`)
	if err := xml.EscapeText(&call, []byte(program)); err != nil {
		return "", err
	}
	call.WriteString(`</string></value></param></params></methodCall>`)
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (conn net.Conn, err error) {
		err = s.asUser(func() error {
			conn, err = (&net.Dialer{}).DialContext(ctx, "unix", socket)
			return err
		})
		return conn, err
	}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://supervisor/RPC2", &call)
	if err != nil {
		return "", err
	}
	request.Header.Set("Content-Type", "text/xml")
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("supervisord answers %s", response.Status)
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return "", err
	}
	return stateIn(answer)
}

// stateIn finds the name of the state in an answer.
func stateIn(answer []byte) (string, error) {
	var response struct {
		Members []member `xml:"params>param>value>struct>member"`
		Fault   []member `xml:"fault>value>struct>member"`
	}
	if err := xml.Unmarshal(answer, &response); err != nil {
		return "", fmt.Errorf("cannot understand what supervisord answers: %w", err)
	}
	for _, m := range response.Members {
		if m.Name == "statename" {
			return strings.ToLower(m.Value.text()), nil
		}
	}
	for _, m := range response.Fault {
		if m.Name == "faultString" {
			return "", fmt.Errorf("<Fault %s>", pythontext.Quote(m.Value.text()))
		}
	}
	return "", errors.New("cannot understand what supervisord answers: it names no state")
}

type member struct {
	Name  string `xml:"name"`
	Value value  `xml:"value"`
}

type value struct {
	String *string `xml:"string"`
	Plain  string  `xml:",chardata"`
}

func (v value) text() string {
	if v.String != nil {
		return *v.String
	}
	return v.Plain
}
