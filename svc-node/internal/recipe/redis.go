package recipe

import (
	"context"
	"strconv"
	"strings"
)

// redisServer is slapos.cookbook:redis.server.
func redisServer() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:redis.server",
		Summary: "Writes the configuration of a Redis and its service, with the redis-server of the software release.",
		Options: []Option{
			{Name: "server_bin", Required: true, Text: "The redis-server to run."},
			{Name: "config_file", Required: true, Text: "Path of the configuration."},
			{Name: "wrapper", Required: true, Text: "Path of the service."},
			{Name: "port", Required: true, Text: "TCP port."},
			{Name: "ipv6", Required: true, Text: "Address to listen on."},
			{Name: "server_dir", Required: true, Text: "Directory of the data."},
			{Name: "pid_file", Required: true, Text: "File that keeps the process's id."},
			{Name: "log_file", Required: true, Text: "Path of the log."},
			{Name: "requirepass, masterauth", Text: "Password of the server, and of the one it replicates."},
			{Name: "use_passwd, passwd", Text: "Older spelling of masterauth."},
			{Name: "promise_wrapper", Text: "Path of a promise that the server answers."},
			{Name: "promise_requirepass_file", Text: "File that holds the password, for the promise."},
		},
		Signature: 1,
		Install:   installRedis,
	}
}

func installRedis(_ context.Context, w *Work) error {
	if _, err := strconv.ParseUint(w.Get("port"), 10, 16); err != nil {
		return w.Error("port", "cannot use %q as a TCP port", w.Get("port"))
	}
	lines := []string{
		"daemonize no", "pidfile " + w.Get("pid_file"), "port " + w.Get("port"), "bind " + strings.Trim(w.Get("ipv6"), "[]"), "timeout 0", "loglevel notice",
		"logfile " + w.Get("log_file"), "dir " + w.Get("server_dir"), "dbfilename dump.rdb", "save 900 1", "save 300 10", "save 60 10000", "appendonly no",
	}
	master := w.Get("masterauth")
	if master == "" && isTrue(w.Get("use_passwd")) {
		master = w.Get("passwd")
	}
	for _, secret := range [][2]string{{"requirepass", w.Get("requirepass")}, {"masterauth", master}} {
		if strings.ContainsAny(secret[1], " \t\n\"'\\") {
			return w.Error(secret[0], "cannot use a password with blanks or quotes")
		}
		if secret[1] != "" {
			lines = append(lines, secret[0]+" "+secret[1])
		}
	}
	if err := w.Files.Write(w.Get("config_file"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return w.Error("config_file", "%w", err)
	}
	if err := writeScript(w, "wrapper", []string{w.Get("server_bin"), w.Get("config_file")}); err != nil {
		return err
	}
	promise := w.Get("promise_wrapper")
	if promise == "" {
		return nil
	}
	client := strings.TrimSuffix(w.Get("server_bin"), "-server") + "-cli"
	script := "#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\n"
	if file := w.Get("promise_requirepass_file"); file != "" {
		script += "REDISCLI_AUTH=$(cat " + quoteShell(file) + ") || exit 1\nexport REDISCLI_AUTH\n"
	}
	script += "answer=$(" + quoteShell(client) + " -h " + quoteShell(strings.Trim(w.Get("ipv6"), "[]")) + " -p " + w.Get("port") + " ping 2>&1)\n" +
		"[ \"$answer\" = PONG ] && exit 0\necho \"the server answers: $answer\" >&2\nexit 1\n"
	if err := w.Files.Write(promise, []byte(script), 0o700); err != nil {
		return w.Error("promise_wrapper", "%w", err)
	}
	return nil
}
