package recipe

import (
	"context"
	"path"
	"strconv"
	"strings"
)

// logrotateOptions reads what both recipes share: how often, and how many are kept.
func logrotateOptions(w *Work, frequency, keep string) ([]string, error) {
	if text := w.Get("frequency"); text != "" {
		frequency = text
	}
	switch frequency {
	case "", "hourly", "daily", "weekly", "monthly", "yearly":
	default:
		return nil, w.Error("frequency", "cannot use %q: hourly, daily, weekly, monthly and yearly are", frequency)
	}
	for _, option := range []string{"num-rotate", "rotate-num"} {
		if text := w.Get(option); text != "" {
			if _, err := strconv.ParseUint(text, 10, 31); err != nil {
				return nil, w.Error(option, "cannot keep %q logs: a number is", text)
			}
			keep = text
		}
	}
	var lines []string
	if frequency != "" {
		lines = append(lines, frequency)
	}
	if keep != "" {
		lines = append(lines, "rotate "+keep)
	}
	return lines, nil
}

// logrotate is slapos.cookbook:logrotate.
func logrotate() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:logrotate",
		Summary: "Writes the configuration of logrotate and the program that runs it, with the logrotate of the software release.",
		Options: []Option{
			{Name: "logrotate-entries", Required: true, Text: "Directory of the entries."},
			{Name: "backup", Required: true, Text: "Directory that old logs are moved to."},
			{Name: "conf", Required: true, Text: "Path of the configuration."},
			{Name: "wrapper", Required: true, Text: "Path of the program, for a cron entry."},
			{Name: "logrotate-binary", Required: true, Text: "The logrotate to run."},
			{Name: "gzip-binary, gunzip-binary", Default: "gzip and gunzip", Text: "What compresses old logs."},
			{Name: "state-file", Required: true, Text: "File in which logrotate remembers what it rotated when."},
			{Name: "frequency", Default: "daily", Text: "How often: hourly, daily, weekly, monthly or yearly."},
			{Name: "num-rotate", Default: "3650", Text: "How many old logs are kept."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			lines, err := logrotateOptions(w, "daily", "3650")
			if err != nil {
				return err
			}
			gzip, gunzip := w.Get("gzip-binary"), w.Get("gunzip-binary")
			if gzip == "" {
				gzip = "gzip"
			}
			if gunzip == "" {
				gunzip = "gunzip"
			}
			lines = append([]string{"include " + w.Get("logrotate-entries"), "olddir " + w.Get("backup"), "dateext"}, lines...)
			lines = append(lines, "compress", "compresscmd "+gzip, "compressoptions -9", "uncompresscmd "+gunzip)
			if err := w.Files.Write(w.Get("conf"), []byte(strings.Join(lines, "\n")+"\n"), 0o640); err != nil {
				return w.Error("conf", "%w", err)
			}
			return writeScript(w, "wrapper", []string{w.Get("logrotate-binary"), "-s", w.Get("state-file"), w.Get("conf")})
		},
	}
}

// logrotateEntry is slapos.cookbook:logrotate.d.
func logrotateEntry() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:logrotate.d",
		Summary: "Writes one entry of the configuration of slapos.cookbook:logrotate.",
		Options: []Option{
			{Name: "logrotate-entries", Required: true, Text: "Directory of the entries."},
			{Name: "name", Default: "the section's name", Text: "Name of the entry."},
			{Name: "log", Required: true, Text: "Paths and patterns of the logs."},
			{Name: "frequency", Text: "How often: hourly, daily, weekly, monthly or yearly."},
			{Name: "num-rotate", Text: "How many old logs are kept; rotate-num is another spelling."},
			{Name: "pre, post", Text: "Commands run before and after."},
			{Name: "sharedscripts, notifempty", Default: "false", Text: "As in logrotate."},
			{Name: "create", Default: "true", Text: "Whether a new log is made."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			lines, err := logrotateOptions(w, "", "")
			if err != nil {
				return err
			}
			for _, option := range []string{"post", "pre"} {
				if strings.Contains(w.Get(option), "endscript") {
					return w.Error(option, "cannot run this: it would end its own entry")
				}
				if command := w.Get(option); command != "" {
					lines = append(lines, option+"rotate\n"+command+"\nendscript")
				}
			}
			for _, option := range []string{"sharedscripts", "notifempty"} {
				if isTrue(w.Get(option)) {
					lines = append(lines, option)
				}
			}
			if text := w.Get("create"); text == "" || isTrue(text) {
				lines = append(lines, "create")
			}
			log := w.Get("log")
			if strings.ContainsAny(log, "{}\n") {
				return w.Error("log", "cannot rotate %q: paths and patterns on one line are wanted", log)
			}
			name := w.Get("name")
			if name == "" {
				name = w.Part.Name
			}
			content := log + " {\n" + strings.Join(lines, "\n") + "\n}\n"
			if err := w.Files.Write(path.Join(w.Get("logrotate-entries"), name), []byte(content), 0o640); err != nil {
				return w.Error("logrotate-entries", "%w", err)
			}
			return nil
		},
	}
}
