package command

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/svc-node/app"
	"github.com/vow-os/vow/vow/internal/endpoint"
	"github.com/vow-os/vow/vow/internal/starter"
)

// newPromiseNew is `vow promise new`: the starting point of a promise.
func newPromiseNew(s *session) *cobra.Command {
	p := starter.Starter{}
	command := &cobra.Command{
		Use: "new NAME --kind python|executable|builtin", Short: "Write the starting point of a promise, with a test",
		Long: `Write the starting point of a promise, with a test that passes.

  python      etc/plugin/NAME.py and test/test_NAME.py
  executable  etc/promise/NAME and test/test_NAME.sh
  builtin     etc/plugin/NAME.json, of one of the sensors that svc-node has in itself (--sensor)

Nothing is overwritten.`,
		Example: "  vow promise new answers --kind python\n  vow promise new web --kind builtin --sensor check_url_available",
		Args:    arguments(cobra.ExactArgs(1)), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(_ *cobra.Command, args []string) error {
			if !slices.Contains(starter.Kinds, p.Kind) {
				return usageError{fmt.Errorf("cannot use --kind %q: want %s", p.Kind, strings.Join(starter.Kinds, ", "))}
			}
			p.Name = args[0]
			paths, err := p.Write()
			if err != nil {
				return err
			}
			if s.json() {
				return s.object(map[string]any{"files": paths})
			}
			for _, path := range paths {
				fmt.Fprintln(s.out, "wrote", filepath.Join(p.Directory, path))
			}
			switch p.Kind {
			case "python":
				fmt.Fprintf(s.out, "test it with  python3 %s\n", filepath.Join(p.Directory, paths[1]))
			case "executable":
				fmt.Fprintf(s.out, "test it with  sh %s\n", filepath.Join(p.Directory, paths[1]))
			}
			fmt.Fprintf(s.out, "run it with   vow promise run --dry-run --partition-folder %s %s\n", p.Directory, p.Name)
			return nil
		},
	}
	command.Flags().StringVar(&p.Kind, "kind", "", "`kind` of the promise: python, executable or builtin")
	command.Flags().StringVar(&p.Sensor, "sensor", "check_socket_listening", "built-in `sensor`")
	command.Flags().StringVarP(&p.Directory, "directory", "d", ".", "`directory` to write to: a partition's, or a release's")
	_ = command.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(starter.Kinds, cobra.ShellCompDirectiveNoFileComp))
	_ = command.RegisterFlagCompletionFunc("sensor", cobra.FixedCompletions(app.Builtins(), cobra.ShellCompDirectiveNoFileComp))
	return command
}

// newPromiseModules is `vow promise modules`: where vow's Python modules are.
func newPromiseModules(s *session) *cobra.Command {
	return &cobra.Command{
		Use: "modules", Short: "Tell where the Python modules are that vow offers to promises, for PYTHONPATH",
		Long: `Tell where the Python modules are that vow offers to promises: slapos.grid.promise and what else they import.

They are written to the data directory, if they are not there. Tests of promises import them where there is no slapos.core.`,
		Example: "  PYTHONPATH=$(vow promise modules) python3 test/test_answers.py",
		Args:    arguments(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			directory, err := endpoint.Directory(s.data)
			if err != nil {
				return err
			}
			folder, err := app.PythonModules(filepath.Join(directory, "modules"))
			if err != nil {
				return err
			}
			if s.json() {
				return s.object(map[string]string{"folder": folder})
			}
			fmt.Fprintln(s.out, folder)
			return nil
		},
	}
}
