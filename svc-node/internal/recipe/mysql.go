package recipe

import "context"

// mysqlUpdate is slapos.cookbook:generic.mysql.wrap_update_mysql.
func mysqlUpdate() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:generic.mysql.wrap_update_mysql",
		Summary: "Writes a program for etc/run that upgrades the tables of a MariaDB, runs a script of SQL on it and loads the machine's time zones, again and again until all succeed.",
		Options: []Option{
			{Name: "output", Required: true, Text: "Path of the program."},
			{Name: "binary", Required: true, Text: "The mysql_upgrade to run."},
			{Name: "mysql", Required: true, Text: "The client to run."},
			{Name: "init-script", Required: true, Text: "Path of the script of SQL, which is read when the program runs."},
			{Name: "mysql_tzinfo_to_sql", Text: "What makes SQL of time zones."},
		},
		Signature: 1,
		Install:   writeMySQLUpdate,
	}
}

// mysqlRetry is how long it waits for a server that is starting, in seconds.
const mysqlRetry = "5"

func writeMySQLUpdate(_ context.Context, w *Work) error {
	client := quoteShell(w.Get("mysql")) + " -B --user=root"
	script := "#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\nupdate() {\n" +
		"  said=$(" + quoteShell(w.Get("binary")) + " --user=root 2>&1)\n" +
		"  case $?,$said in 0,*|*'is already upgraded'*) ;; *) echo \"$said\" >&2; return 1;; esac\n" +
		"  " + client + " < " + quoteShell(w.Get("init-script")) + " || return 1\n"
	if zones := w.Get("mysql_tzinfo_to_sql"); zones != "" {
		script += "  zones=$(" + quoteShell(zones) + " /usr/share/zoneinfo) || return 1\n" +
			"  printf '%s\\n' \"$zones\" | " + client + " mysql || return 1\n"
	}
	script += "}\nuntil update; do\n  echo 'trying again in " + mysqlRetry + " s' >&2\n  sleep " + mysqlRetry + "\ndone\n"
	if err := w.Files.Write(w.Get("output"), []byte(script), 0o700); err != nil {
		return w.Error("output", "%w", err)
	}
	return nil
}
