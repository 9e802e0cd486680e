package clients

import (
	"archive/zip"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// proxy makes a module proxy of files that has gen, as `go get` finds it where it is published, and nothing beside it.
func proxy(t *testing.T, outside string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	at := filepath.Join(dir, "github.com/vow-os/vow/gen/@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile("../../gen/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{".info": `{"Version":"` + outside + `"}`, ".mod": string(mod)} {
		if err := os.WriteFile(filepath.Join(at, outside+name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(at, outside+".zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	archive := zip.NewWriter(file)
	gen := os.DirFS("../../gen")
	err = fs.WalkDir(gen, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.Name() == "node_modules":
			return fs.SkipDir
		case entry.IsDir():
			return nil
		}
		content, err := fs.ReadFile(gen, name)
		if err != nil {
			return err
		}
		in, err := archive.Create("github.com/vow-os/vow/gen@" + outside + "/" + name)
		if err != nil {
			return err
		}
		_, err = in.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestGenCanBeHadFromOutside builds the Go clients against gen as a proxy serves it, without a replace.
func TestGenCanBeHadFromOutside(t *testing.T) {
	outside := fmt.Sprintf("v0.0.0-outside.%d", os.Getpid()) // the machine's module cache is everybody's
	copied := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum", "connect/main.go", "grpc/main.go", "grpc/service.json"} {
		content, err := os.ReadFile(name)
		to := filepath.Join(copied, name)
		if err == nil {
			err = os.MkdirAll(filepath.Dir(to), 0o755)
		}
		if err == nil {
			err = os.WriteFile(to, content, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	modules := goCommand(t, copied, "env", "GOMODCACHE")
	forget := func() { // or a later process of this number would be given what this one was
		at := filepath.Join(modules, "cache/download/github.com/vow-os/vow/gen/@v")
		kept, _ := filepath.Glob(filepath.Join(at, outside+"*")) // the pattern is good
		for _, path := range append(kept, filepath.Join(modules, "github.com/vow-os/vow/gen@"+outside)) {
			_ = filepath.WalkDir(path, func(at string, _ os.DirEntry, _ error) error { return os.Chmod(at, 0o755) }) // go makes it read-only; what is not there is well
			if err := os.RemoveAll(path); err != nil {
				t.Error(err)
			}
		}
	}
	forget()
	t.Cleanup(forget)
	goCommand(t, copied, "mod", "edit", "-dropreplace=github.com/vow-os/vow/gen", "-require=github.com/vow-os/vow/gen@"+outside)
	// Everything else is in the machine's cache, or comes from where it always does.
	t.Setenv("GOPROXY", "file://"+proxy(t, outside)+","+goCommand(t, copied, "env", "GOPROXY"))
	t.Setenv("GONOSUMDB", "github.com/vow-os/*")
	t.Setenv("GONOPROXY", "none") // of whoever has these modules by git
	if got := goCommand(t, copied, "list", "-mod=mod", "-f", "{{.Module.Version}}", "github.com/vow-os/vow/gen/vowclient"); got != outside {
		t.Errorf("vowclient comes from %q", got)
	}
	goCommand(t, copied, "build", "-mod=mod", "./connect", "./grpc") // of two programs it keeps none
}

// goCommand runs go beside no workspace.
func goCommand(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir, command.Env = dir, append(os.Environ(), "GOWORK=off")
	out, err := command.Output()
	if err != nil {
		said := ""
		if ended, is := err.(*exec.ExitError); is {
			said = string(ended.Stderr)
		}
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, said)
	}
	return strings.TrimSpace(string(out))
}
