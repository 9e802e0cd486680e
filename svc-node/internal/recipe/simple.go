package recipe

import (
	"context"
	"net/url"
	"strconv"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// simpleLogger is slapos.cookbook:simplelogger.
func simpleLogger() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:simplelogger",
		Summary: "Writes a program that appends what it reads to a log, as cron's catcher.",
		Options: []Option{
			{Name: "wrapper", Required: true, Text: "Path of the program."},
			{Name: "log", Required: true, Text: "Path of the log."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			script := "#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\nexec cat >> " + quoteShell(w.Get("log")) + "\n"
			if err := w.Files.Write(w.Get("wrapper"), []byte(script), 0o700); err != nil {
				return w.Error("wrapper", "%w", err)
			}
			return nil
		},
	}
}

// simpleHTTPServer is slapos.cookbook:simplehttpserver.
func simpleHTTPServer() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:simplehttpserver",
		Summary: "Writes a service that serves a directory over HTTP, with the machine's python3.",
		Options: []Option{
			{Name: "wrapper", Required: true, Text: "Path of the service."},
			{Name: "host", Required: true, Text: "Address to listen on."},
			{Name: "port", Required: true, Text: "TCP port."},
			{Name: "base-path", Required: true, Text: "Directory to serve."},
			{Name: "python", Default: "python3", Text: "The Python to use."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			if _, err := strconv.ParseUint(w.Get("port"), 10, 16); err != nil {
				return w.Error("port", "cannot use %q as a TCP port", w.Get("port"))
			}
			python := w.Get("python")
			if python == "" {
				python = "python3"
			}
			return writeScript(w, "wrapper", []string{python, "-m", "http.server", "--bind", strings.Trim(w.Get("host"), "[]"), "--directory", w.Get("base-path"), w.Get("port")})
		},
	}
}

// shellWrapper is slapos.cookbook:shell.
func shellWrapper() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:shell",
		Summary: "Writes a program that starts a shell with the release's environment.",
		Options: []Option{
			{Name: "wrapper", Required: true, Text: "Path of the program."},
			{Name: "shell", Required: true, Text: "The shell."},
			{Name: "home", Text: "Its home directory."},
			{Name: "path", Text: "Directories to search for programs, one a line."},
			{Name: "ps1", Text: "Its prompt."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			words := []string{"env"}
			if home := w.Get("home"); home != "" {
				words = append(words, "HOME="+home)
			}
			if path := strings.Join(strings.Fields(w.Get("path")), ":"); path != "" {
				words = append(words, "PATH="+path)
			}
			if prompt := w.Get("ps1"); prompt != "" {
				words = append(words, "PS1="+strings.Trim(prompt, `"`))
			}
			return writeScript(w, "wrapper", append(words, w.Get("shell")))
		},
	}
}

// urlParse is slapos.cookbook:urlparse.
func urlParse() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:urlparse",
		Summary: "Takes a URL apart.",
		Options: []Option{{Name: "url", Required: true, Text: "The URL."}},
		Provides: []Option{
			{Name: "scheme, host, port, path, query, fragment, username, password, params", Text: "Its parts; absent ones are empty."},
		},
		Signature: 1,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			u, err := url.Parse(in.Text("url"))
			if err != nil {
				return profile.Provided{}, in.Error("url", "cannot read the URL %q", in.Text("url"))
			}
			password, _ := u.User.Password()
			path, params, _ := strings.Cut(u.EscapedPath(), ";")
			options := map[string]profile.Value{}
			for name, text := range map[string]string{
				"scheme": u.Scheme, "host": u.Hostname(), "port": u.Port(), "path": path, "params": params, "query": u.RawQuery,
				"fragment": u.Fragment, "username": u.User.Username(), "password": password,
			} {
				options[name] = profile.Text(text)
			}
			return profile.Provided{Options: options, Volatile: []string{"password"}}, nil
		},
	}
}
