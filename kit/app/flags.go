package app

import (
	"fmt"
	"io"
	"maps"

	"github.com/alecthomas/kong"
)

// parse fills cfg from args and the environment. A code ≥ 0 ends the program: --help and --version were answered.
func parse(p Program, cfg any, args []string, stdout, stderr io.Writer) (code int, err error) {
	prefix := p.EnvPrefix
	if prefix == "" {
		prefix = "VOW"
	}
	// Configurations embed rpc.Config, whose defaults differ by service; without a value they take a free port.
	vars := kong.Vars{"address": "127.0.0.1:0", "admin_address": "127.0.0.1:0"}
	maps.Copy(vars, p.Vars)

	vars["version"] = p.Version

	code = -1
	exited := func(c int) {
		if code < 0 {
			code = c
		}
	}
	parser, err := kong.New(cfg,
		kong.Name(p.Name),
		kong.Description(p.Summary),
		kong.DefaultEnvars(prefix),
		kong.Writers(stdout, stderr),
		kong.Exit(exited),
		kong.UsageOnError(),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
		kong.Embed(&struct {
			Version kong.VersionFlag `help:"Print the version and exit." env:"-"`
		}{}),
		vars,
	)
	if err != nil {
		return -1, fmt.Errorf("cannot declare the flags: %w", err)
	}
	if _, err := parser.Parse(args); err != nil {
		if code >= 0 {
			return code, nil
		}
		return -1, err
	}
	if code >= 0 {
		return code, nil
	}
	if v, ok := cfg.(interface{ Validate() error }); ok {
		return -1, v.Validate()
	}
	return -1, nil
}
