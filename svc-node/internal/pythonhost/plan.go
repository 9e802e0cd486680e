package pythonhost

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/vow-os/vow/svc-node/internal/interpreter"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// Limits of what is read of a promise's file before it is executed.
const (
	// maxPlugin bounds the file of a promise in bytes.
	maxPlugin = 1 << 20
	// maxModules is how many modules it may name to be kept warm.
	maxModules = 8
	// ancestors is how far above an egg bin/buildout is looked for: <release>/develop-eggs/x.egg, <release>/eggs/…
	ancestors = 4
)

var pluginOf = regexp.MustCompile(`(?m)^from\s+(slapos\.promise\.plugin\.\w+)\s+import\b`)

// plan is which host senses a promise, and what it may keep warm for it.
type plan struct {
	interpreter string
	// paths is what the promise puts before sys.path; trusted tells that the host may import from there.
	paths   []string
	trusted bool
	modules []string
	// user is whose the host is: the agent's, or that of the partition when the interpreter is not only root's.
	user privilege.User
}

// key names the host of a plan: one per interpreter and release.
func (p plan) key() string {
	key := []string{p.interpreter, strconv.FormatUint(uint64(p.user.UID), 10)}
	if p.trusted {
		key = append(key, p.paths...)
	}
	return strings.Join(key, "\x00")
}

// makePlan reads the head of a promise. The file is the partition's: what it says is used only as far as nobody but root
// could have made what it names.
func (p *Pool) makePlan(path string, u privilege.User) (plan, error) {
	var content []byte
	err := u.Do(func() (err error) {
		content, err = readPlugin(path)
		return err
	})
	if err != nil {
		return plan{}, err
	}
	made := plan{trusted: true}
	if made.paths, err = interpreter.Paths(content); err != nil {
		return plan{}, fmt.Errorf("cannot use %s: %w", path, err)
	}
	for _, entry := range made.paths {
		made.trusted = made.trusted && filepath.IsAbs(entry) && p.trusts(entry)
	}
	made.interpreter, err = p.interpreter(content, made.paths)
	if errors.Is(err, errUntrusted) && u.Switch {
		// The Python that a release brings is the software user's: root never executes it, and the partition's user may.
		made.user, made.trusted, err = u, true, nil
	}
	if err != nil {
		return plan{}, fmt.Errorf("cannot use %s: %w", path, err)
	}
	if made.trusted {
		for _, found := range pluginOf.FindAllSubmatch(content, maxModules) {
			made.modules = append(made.modules, string(found[1]))
		}
	}
	return made, nil
}

func readPlugin(path string) ([]byte, error) {
	// Not blocking: a plugin may be a FIFO that nobody writes to.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() > maxPlugin {
		return nil, fmt.Errorf("cannot read %s: it is not a file of at most %d bytes", path, maxPlugin)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxPlugin))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return content, nil
}

// interpreter finds the Python of a promise: that of its first line, else that of its release's bin/buildout, else the
// machine's.
func (p *Pool) interpreter(content []byte, paths []string) (string, error) {
	if found := interpreter.Shebang(content); found != "" {
		return found, p.mustTrust(found)
	}
	seen := map[string]bool{}
	for _, path := range paths {
		for range ancestors {
			path = filepath.Dir(path)
			if seen[path] {
				break
			}
			seen[path] = true
			head, err := interpreter.Head(filepath.Join(path, "bin", "buildout"))
			if err != nil {
				continue
			}
			if found := interpreter.Shebang(head); found != "" {
				return found, p.mustTrust(found)
			}
		}
	}
	found, err := exec.LookPath("python3")
	if err != nil {
		return "", fmt.Errorf("there is no python3 on this machine: %w", err)
	}
	return found, nil
}

// errUntrusted is an interpreter that root must not execute.
var errUntrusted = errors.New("others than root can change its interpreter")

func (p *Pool) mustTrust(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("its interpreter cannot be used: %w", err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return fmt.Errorf("its interpreter %s is no program", path)
	case !p.trusts(path):
		return fmt.Errorf("%w %s", errUntrusted, path)
	}
	return nil
}

// trusts tells whether nobody but root can change what a path names or anything on the way to it. An agent that is not
// root has nothing to protect: what it starts is the same user.
func (p *Pool) trusts(path string) bool {
	if p.uid != 0 {
		return true
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for _, start := range slices.Compact([]string{filepath.Clean(path), resolved}) {
		for at := start; ; at = filepath.Dir(at) {
			info, err := os.Lstat(at)
			if err != nil {
				return false
			}
			stat, ok := info.Sys().(*syscall.Stat_t)
			link := info.Mode()&os.ModeSymlink != 0
			sticky := info.IsDir() && info.Mode()&os.ModeSticky != 0
			if !ok || stat.Uid != 0 || !link && !sticky && info.Mode().Perm()&0o022 != 0 {
				return false
			}
			if at == "/" {
				break
			}
		}
	}
	return true
}

// environment is a list of NAME=value as a map.
func environment(list []string) map[string]string {
	values := make(map[string]string, len(list))
	for _, entry := range list {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			values[name] = strings.ToValidUTF8(value, "\uFFFD")
		}
	}
	return values
}
