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
			{Name: "server-bin", Text: "The redis-server to run. Of this and all further options, an underscore is the older spelling of a dash."},
			{Name: "cli-bin", Default: "beside server-bin", Text: "The redis-cli of the promise."},
			{Name: "config-file", Text: "Path of the configuration."},
			{Name: "wrapper", Required: true, Text: "Path of the service."},
			{Name: "port", Required: true, Text: "TCP port; 0: none, only the socket."},
			{Name: "ipv6", Required: true, Text: "Address to listen on."},
			{Name: "unixsocket", Text: "Path of a socket that only the partition's user may use."},
			{Name: "server-dir", Text: "Directory of the data."},
			{Name: "pid-file", Text: "File that keeps the process's id."},
			{Name: "log-file", Text: "Path of the log."},
			{Name: "requirepass, masterauth", Text: "Password of the server, and of the one it replicates."},
			{Name: "use-passwd, passwd", Text: "Older spelling of masterauth."},
			{Name: "promise-wrapper", Text: "Path of a promise that the server answers."},
			{Name: "promise-requirepass-file", Text: "File that holds the password, for the promise."},
		},
		Signature: 2,
		Install:   installRedis,
	}
}

func installRedis(_ context.Context, w *Work) error {
	get := func(option string) string {
		if text := w.Get(option); text != "" {
			return text
		}
		return w.Get(strings.ReplaceAll(option, "-", "_"))
	}
	for _, option := range []string{"server-bin", "config-file", "server-dir", "pid-file", "log-file"} {
		if get(option) == "" {
			return w.Error("", "cannot install this part: slapos.cookbook:redis.server needs the option %s", option)
		}
	}
	if _, err := strconv.ParseUint(w.Get("port"), 10, 16); err != nil {
		return w.Error("port", "cannot use %q as a TCP port", w.Get("port"))
	}
	lines := []string{
		"daemonize no", "pidfile " + get("pid-file"), "port " + w.Get("port"), "bind " + strings.Trim(w.Get("ipv6"), "[]"), "timeout 0", "loglevel notice",
		"logfile " + get("log-file"), "dir " + get("server-dir"), "dbfilename dump.rdb", "save 900 1", "save 300 10", "save 60 10000", "appendonly no",
	}
	socket := w.Get("unixsocket")
	if socket != "" {
		lines = append(lines, "unixsocket "+socket, "unixsocketperm 700")
	}
	master := w.Get("masterauth")
	if master == "" && isTrue(get("use-passwd")) {
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
	if err := w.Files.Write(get("config-file"), []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return w.Error("config-file", "%w", err)
	}
	if err := writeScript(w, "wrapper", []string{get("server-bin"), get("config-file")}); err != nil {
		return err
	}
	promise := get("promise-wrapper")
	if promise == "" {
		return nil
	}
	client := get("cli-bin")
	if client == "" {
		client = strings.TrimSuffix(get("server-bin"), "-server") + "-cli"
	}
	where := " -h " + quoteShell(strings.Trim(w.Get("ipv6"), "[]")) + " -p " + w.Get("port")
	if socket != "" {
		where = " -s " + quoteShell(socket)
	}
	script := "#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\n"
	if file := get("promise-requirepass-file"); file != "" {
		script += "REDISCLI_AUTH=$(cat " + quoteShell(file) + ") || exit 1\nexport REDISCLI_AUTH\n"
	}
	script += "answer=$(" + quoteShell(client) + where + " ping 2>&1)\n" +
		"[ \"$answer\" = PONG ] && exit 0\necho \"the server answers: $answer\" >&2\nexit 1\n"
	if err := w.Files.Write(promise, []byte(script), 0o700); err != nil {
		return w.Error("promise-wrapper", "%w", err)
	}
	return nil
}
