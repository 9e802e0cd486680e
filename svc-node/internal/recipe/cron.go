package recipe

import (
	"context"
	"path"
	"strings"
)

// cronEntry is slapos.cookbook:cron.d.
func cronEntry() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:cron.d",
		Summary: "Writes one entry of the cron that slapos.cookbook:cron runs.",
		Options: []Option{
			{Name: "cron-entries", Required: true, Text: "Directory of the entries."},
			{Name: "name", Default: "the section's name", Text: "Name of the entry."},
			{Name: "frequency", Text: "When, in cron's five fields or as @hourly; time and periodicity are other spellings, and once, hourly, daily, weekly, monthly are understood."},
			{Name: "command", Required: true, Text: "What to run."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			when := ""
			for _, option := range []string{"frequency", "time", "periodicity"} {
				if when = w.Get(option); when != "" {
					break
				}
			}
			named := map[string]string{"hourly": "@hourly", "daily": "@daily", "weekly": "@weekly", "monthly": "@monthly", "once": "@reboot"}
			if spelled, ok := named[when]; ok {
				when = spelled
			}
			if fields := len(strings.Fields(when)); strings.Contains(when, "\n") || fields != 5 && !(fields == 1 && when[0] == '@') {
				return w.Error("frequency", "cannot use %q: five fields are wanted, or a name such as @hourly", when)
			}
			command := w.Get("command")
			if strings.Contains(command, "\n") {
				return w.Error("command", "cannot run several lines from cron: write a script and run that")
			}
			name := w.Get("name")
			if name == "" {
				name = w.Part.Name
			}
			if err := w.Files.Write(path.Join(w.Get("cron-entries"), name), []byte(when+" "+command+"\n"), 0o640); err != nil {
				return w.Error("cron-entries", "%w", err)
			}
			return nil
		},
	}
}

// cronDaemon is slapos.cookbook:cron.
func cronDaemon() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:cron",
		Summary: "Writes the service that runs cron entries, with the dcron of the software release.",
		Options: []Option{
			{Name: "binary", Required: true, Text: "Path of the service, usually in ${buildout:directory}/etc/service."},
			{Name: "dcrond-binary", Required: true, Text: "The crond to run."},
			{Name: "cron-entries", Required: true, Text: "Directory of the entries."},
			{Name: "crontabs", Required: true, Text: "Directory of user tables."},
			{Name: "cronstamps", Required: true, Text: "Directory in which crond remembers when it ran what."},
			{Name: "catcher", Text: "Program that is given what jobs print."},
		},
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			words := []string{w.Get("dcrond-binary"), "-s", w.Get("cron-entries"), "-c", w.Get("crontabs"), "-t", w.Get("cronstamps"), "-f", "-l", "5"}
			if catcher := w.Get("catcher"); catcher != "" {
				words = append(words, "-M", catcher)
			}
			return writeScript(w, "binary", words)
		},
	}
}

// writeScript writes an executable that becomes the command.
func writeScript(w *Work, option string, words []string) error {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = quoteShell(word)
	}
	script := "#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\nexec " + strings.Join(quoted, " ") + " \"$@\"\n"
	if err := w.Files.Write(w.Get(option), []byte(script), 0o700); err != nil {
		return w.Error(option, "%w", err)
	}
	return nil
}
