package recipe

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strings"
)

// wrapper is slapos.cookbook:wrapper: an executable that runs a command, as services are made.
func wrapper() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:wrapper",
		Summary: "Writes an executable that runs a command: a service when it is in etc/service, a one-shot in etc/run.",
		Options: []Option{
			{Name: "command-line", Required: true, Text: "The command and its arguments, quoted as for a shell; nothing is expanded. What the wrapper is called with is appended."},
			{Name: "wrapper-path", Required: true, Text: "Path of the executable."},
			{Name: "environment", Text: "Environment variables, NAME=value, one a line."},
			{Name: "wait-for-files", Text: "Files that must exist before the command starts."},
			{Name: "pidfile", Text: "File that keeps the process's id; while that process lives, the wrapper refuses to start a second."},
			{Name: "hash-files", Text: "Files made by this profile whose content counts: their hash is appended to wrapper-path, so that a service restarts when they change."},
			{Name: "hash-existing-files", Text: "The same for files that exist already."},
			{Name: "reserve-cpu", Text: "Accepted; CPUs are not reserved."},
		},
		Signature: 1,
		Install:   writeWrapper,
		Update: func(ctx context.Context, w *Work) error {
			if w.Get("hash-files") == "" && w.Get("hash-existing-files") == "" {
				return nil
			}
			if hash, err := wrapperHash(w); err != nil || hash == w.Note {
				return err
			}
			return writeWrapper(ctx, w)
		},
	}
}

func writeWrapper(_ context.Context, w *Work) error {
	if w.Get("private-tmpfs") != "" {
		return w.Error("private-tmpfs", "cannot give a service a private tmpfs: this is not built in")
	}
	script, err := wrapperScript(w)
	if err != nil {
		return err
	}
	path := w.Get("wrapper-path")
	hash, err := wrapperHash(w)
	if err != nil {
		return err
	}
	if hash != "" {
		path += "-" + hash
	}
	w.Note = hash
	if err := w.Files.Write(path, []byte(script), 0o700); err != nil {
		return w.Error("wrapper-path", "%w", err)
	}
	return nil
}

// wrapperHash is over the content of hash-files, or "" without any.
func wrapperHash(w *Work) (string, error) {
	sum, any := md5.New(), false
	for _, option := range []string{"hash-files", "hash-existing-files"} {
		for _, path := range strings.Fields(w.Get(option)) {
			content, err := w.Files.Read(path)
			if err != nil {
				return "", w.Error(option, "cannot hash %s: %w", path, err)
			}
			any = true
			fmt.Fprintf(sum, "%d %s\n", len(path), path)
			sum.Write(content)
		}
	}
	if !any {
		return "", nil
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func wrapperScript(w *Work) (string, error) {
	words, err := splitCommand(w.Get("command-line"))
	if err != nil {
		return "", w.Error("command-line", "cannot read the command: %w", err)
	}
	if len(words) == 0 {
		return "", w.Error("command-line", "cannot run an empty command")
	}
	var b strings.Builder
	b.WriteString("#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\n")
	for _, line := range strings.Split(w.Get("environment"), "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if name = strings.TrimSpace(name); !ok || !isVariable(name) {
			return "", w.Error("environment", "cannot read %q: lines are NAME=value", line)
		}
		b.WriteString("export " + name + "=" + quoteShell(strings.TrimLeft(value, " \t")) + "\n")
	}
	for _, path := range strings.Fields(w.Get("wait-for-files")) {
		b.WriteString("while ! [ -e " + quoteShell(path) + " ]; do sleep 0.2; done\n")
	}
	if pidfile := w.Get("pidfile"); pidfile != "" {
		q := quoteShell(pidfile)
		b.WriteString("if [ -s " + q + " ] && kill -0 \"$(cat " + q + ")\" 2>/dev/null && [ \"$(cat " + q + ")\" != $$ ]; then\n" +
			"  echo \"already running as $(cat " + q + ")\" >&2\n  exit 1\nfi\necho $$ > " + q + "\n")
	}
	b.WriteString("exec")
	for _, word := range words {
		b.WriteString(" " + quoteShell(word))
	}
	b.WriteString(" \"$@\"\n")
	return b.String(), nil
}

func isVariable(name string) bool {
	for i, c := range name {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && !(i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return name != ""
}
