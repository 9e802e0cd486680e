package recipe

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// promiseScript makes a recipe that writes one executable promise, whose path is the option "path".
func promiseScript(name, summary string, options []Option, script func(w *Work) (string, error)) *Recipe {
	options = append(options, Option{Name: "path", Required: true, Text: "Path of the promise, usually in ${buildout:directory}/etc/promise."})
	return &Recipe{
		Name: name, Summary: summary, Options: options, Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			text, err := script(w)
			if err != nil {
				return err
			}
			if err := w.Files.Write(w.Get("path"), []byte(text), 0o700); err != nil {
				return w.Error("path", "%w", err)
			}
			return nil
		},
	}
}

// checkPort is slapos.cookbook:check_port_listening.
func checkPort() *Recipe {
	r := promiseScript("slapos.cookbook:check_port_listening", "Writes a promise that fails unless something accepts TCP connections at an address.", []Option{
		{Name: "hostname", Required: true, Text: "Name or address."},
		{Name: "port", Required: true, Text: "TCP port."},
	}, func(w *Work) (string, error) {
		host, port := w.Get("hostname"), w.Get("port")
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return "", w.Error("port", "cannot use %q as a TCP port", port)
		}
		host = strings.Trim(host, "[]")
		if strings.ContainsAny(host, " \t\n'\"`$\\/;&|<>()*?") {
			return "", w.Error("hostname", "cannot use %q as a host name", host)
		}
		// bash opens /dev/tcp/… itself: no other program is needed, and a refused connection costs no time.
		return fmt.Sprintf(`#!/bin/bash
# Written for [%s]; changes here are lost at the next deployment.
if ! (exec 3<>/dev/tcp/%s/%s) 2>/dev/null; then
  echo "%s port %s isn't listening" >&2
  exit 127
fi
`, w.Part.Name, host, port, host, port), nil
	})
	r.Aliases = []string{"slapos.cookbook:check_port"}
	return r
}

// checkURL is slapos.cookbook:check_url_available.
func checkURL() *Recipe {
	return promiseScript("slapos.cookbook:check_url_available", "Writes a promise that fails unless a URL answers with the code expected.", []Option{
		{Name: "url", Text: "URL to get. The promise of one that is written and empty, or has no scheme, such as what is made of what an optional request has not told yet, fails."},
		{Name: "http_code", Default: "200", Text: "Code expected; http-code is another spelling."},
		{Name: "check-secure", Default: "0", Text: "1: 401 is accepted too."},
		{Name: "timeout", Default: "20", Text: "Seconds."},
		{Name: "curl_path", Default: "curl", Text: "The curl to use."},
		{Name: "dash_path", Text: "Accepted: /bin/sh is used."},
	}, func(w *Work) (string, error) {
		address := w.Get("url")
		u, err := url.Parse(address)
		if _, written := w.Part.Options["url"]; written && err == nil && u.Scheme == "" {
			// A request that tells nothing yet leaves the path at most of what is made of its answer.
			return "#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\necho " +
				quoteShell("no URL is known yet: "+strconv.Quote(address)) + " >&2\nexit 1\n", nil
		}
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "", w.Error("url", "cannot use %q: an http or https URL is wanted", address)
		}
		code, timeout, curl := w.Get("http_code"), w.Get("timeout"), w.Get("curl_path")
		if code == "" {
			code = w.Get("http-code")
		}
		if code == "" {
			code = "200"
		}
		if timeout == "" {
			timeout = "20"
		}
		if curl == "" {
			curl = "curl"
		}
		for option, text := range map[string]string{"http_code": code, "timeout": timeout} {
			if _, err := strconv.Atoi(text); err != nil {
				return "", w.Error(option, "cannot use %q: an integer is wanted", text)
			}
		}
		also := ""
		if isTrue(w.Get("check-secure")) {
			also = " || [ \"$code\" = 401 ]"
		}
		return fmt.Sprintf(`#!/bin/sh
# Written for [%s]; changes here are lost at the next deployment.
url=%s
code=$(%s -k -s -o /dev/null -w '%%{http_code}' --max-time %s "$url")
status=$?
if [ "$code" = 000 ]; then
  echo "$url: no answer (curl status $status)" >&2
  exit 1
fi
if [ "$code" = %s ]%s; then
  exit 0
fi
echo "$url: answered $code, expected %s" >&2
exit 2
`, w.Part.Name, quoteShell(address), quoteShell(curl), timeout, code, also, code), nil
	})
}

// checkParameter is slapos.cookbook:check_parameter.
func checkParameter() *Recipe {
	return promiseScript("slapos.cookbook:check_parameter", "Writes a promise that says whether a value is what it should be.", []Option{
		{Name: "value", Text: "The value."},
		{Name: "expected-type", Text: "ipv4 or ipv6."},
		{Name: "expected-value", Text: "The value it must have."},
		{Name: "expected-not-value", Text: "A value it must not have."},
	}, func(w *Work) (string, error) {
		value, wrong := w.Get("value"), ""
		address, err := netip.ParseAddr(value)
		switch kind := w.Get("expected-type"); {
		case kind == "ipv4" && (err != nil || !address.Is4()), kind == "ipv6" && (err != nil || !address.Is6()):
			wrong = fmt.Sprintf("%q is not of type %s", value, kind)
		case kind != "" && kind != "ipv4" && kind != "ipv6":
			return "", w.Error("expected-type", "cannot check for the type %q: ipv4 and ipv6 are known", kind)
		}
		if want, ok := w.Part.Options["expected-value"]; ok && strings.TrimSpace(want.String()) != value {
			wrong = fmt.Sprintf("%q is not the expected %q", value, want.String())
		}
		if not, ok := w.Part.Options["expected-not-value"]; ok && strings.TrimSpace(not.String()) == value {
			wrong = fmt.Sprintf("%q is what it must not be", value)
		}
		script := "#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\n"
		if wrong == "" {
			return script + "exit 0\n", nil
		}
		return script + "echo " + quoteShell(wrong) + " >&2\nexit 127\n", nil
	})
}
