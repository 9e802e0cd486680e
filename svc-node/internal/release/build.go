package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vow-os/vow/kit/atomicfile"
	"github.com/vow-os/vow/svc-node/internal/privilege"
)

const (
	buildoutConfig = "buildout.cfg"
	// buildLog keeps what the build said; the first maxBuildLog bytes of it.
	buildLog    = ".build.log"
	maxBuildLog = 64 << 20
	// buildTail is how much of its end an error has.
	buildTail = 4 << 10
	// buildMarker is in the environment of every process of a build: what a killed agent left running is found by it.
	buildMarker = "VOW_BUILD"
	// watchSpace is how often the free space is looked at during a build.
	watchSpace = time.Second
	killWait   = 10 * time.Second
	// leastLeft is how much a disk has free, in bytes, when it is not for want of space that a build failed.
	leastLeft = 64 << 10
)

// build has a real buildout build a profile in dir. buildout itself continues what an earlier attempt left there.
func (r *Root) build(ctx context.Context, s source, u privilege.User, dir string, p *partialFile, o Observer) error {
	if r.s.Buildout == "" {
		return errors.New("it is a buildout profile, and this node has no buildout: name one with svc-node --buildout")
	}
	if err := u.Do(func() error { return r.prepare(ctx, s, dir, p, o) }); err != nil {
		return err
	}
	return observe(ctx, o, Build, func(ctx context.Context) error {
		if err := r.buildout(ctx, s, u, dir, o); err != nil {
			return err
		}
		return u.Do(func() error {
			root, err := os.OpenRoot(dir)
			if err != nil {
				return err
			}
			defer root.Close() //nolint:errcheck // only read from
			if !hasProfile(root, ".") {
				return errors.New("the build left no instance.cfg")
			}
			return r.complete(dir, s)
		})
	})
}

// prepare makes the folder of a build and what buildout begins with.
func (r *Root) prepare(ctx context.Context, s source, dir string, p *partialFile, o Observer) error {
	if err := os.Mkdir(dir, modeDirectory); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Chmod(dir, modeDirectory); err != nil {
		return err
	}
	extends, err := r.extends(ctx, s, dir, p, o)
	if err != nil {
		return err
	}
	// The profile's URL may hold a password: for the builder's eyes only.
	text := "[buildout]\nextends = " + strings.ReplaceAll(extends, "$", "$$") + "\n"
	return atomicfile.Write(filepath.Join(dir, buildoutConfig), []byte(text), 0o600)
}

// extends is what buildout.cfg extends: the profile where it is, so that what it extends itself is found beside it; or our
// own copy of one that is verified and comes from elsewhere.
func (r *Root) extends(ctx context.Context, s source, dir string, p *partialFile, o Observer) (string, error) {
	switch {
	case s.path != "":
		f, err := os.Open(s.path)
		if err != nil {
			return "", unwrapPath(s.path, err)
		}
		defer f.Close() // only read from
		if s.sum.given() {
			err = observe(ctx, o, Verify, func(ctx context.Context) error { return verify(ctx, f, s.sum, o) })
		}
		return s.path, err
	case !s.sum.given():
		return s.location.String(), nil
	}
	f, err := r.fetch(ctx, s, p, o)
	if err != nil {
		return "", err
	}
	copied := filepath.Join(dir, "software.cfg")
	return copied, errors.Join(f.Close(), os.Rename(p.path, copied))
}

// buildout runs it as the user, who cannot become another, until it ends, ctx ends, or too little space is left.
func (r *Root) buildout(ctx context.Context, s source, u privilege.User, dir string, o Observer) error {
	ctx, cancel := context.WithTimeoutCause(ctx, MaxBuild, fmt.Errorf("it took longer than %s", MaxBuild))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var file *os.File
	err := u.Do(func() (err error) {
		killBuild(dir)
		file, err = os.OpenFile(filepath.Join(dir, buildLog), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		return err
	})
	if err != nil {
		return err
	}
	defer file.Close() // what it holds is for people; a write that failed is not worth the build
	out := &buildOutput{file: file, observer: o}
	// Go cannot set the umask of a child; releases are read by the partitions' users and written by nobody else.
	command := exec.CommandContext(ctx, "/bin/sh", "-c", `umask 022; exec "$@"`, "sh", r.s.Buildout, "-N", "-c", buildoutConfig)
	command.Dir, command.Env = dir, buildEnvironment(dir, u)
	command.Stdout, command.Stderr = out, out
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = killWait

	ended := make(chan error, 1)
	go func() { ended <- u.Run(command) }()
	tick := time.NewTicker(watchSpace)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := r.space().check(0); err != nil {
				stop(err)
			}
		case err := <-ended:
			_ = u.Do(func() error { killBuild(dir); return nil }) // what it left in the background
			if cause := context.Cause(ctx); err != nil && cause != nil {
				return cause
			}
			if err == nil {
				return nil
			}
			err = fmt.Errorf("buildout: %w: %s", err, s.scrub(out.tail()))
			// What ran out of space says so in its own words.
			if spaceErr := (space{dir: r.dir, reserve: max(r.s.MinFree, leastLeft)}).check(0); spaceErr != nil {
				err = fmt.Errorf("%w; %w", spaceErr, err)
			}
			return err
		}
	}
}

// buildEnvironment is clean but for what names programs and proxies.
func buildEnvironment(dir string, u privilege.User) []string {
	env := []string{buildMarker + "=" + dir, "HOME=" + dir, "LC_ALL=C.UTF-8"}
	if u.Switch {
		env = append(env, "USER="+u.Name, "LOGNAME="+u.Name)
	}
	for _, name := range []string{"PATH", "TMPDIR", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// killBuild ends all processes of a build in dir: a build that an agent left behind when it was killed would write there
// beside the next one.
func killBuild(dir string) {
	mark := []byte("\x00" + buildMarker + "=" + dir + "\x00")
	for range 10 { // a process that forks while we look is found the next time
		found := false
		entries, err := os.ReadDir("/proc")
		if err != nil {
			return
		}
		for _, entry := range entries {
			pid, err := strconv.Atoi(entry.Name())
			if err != nil || pid == os.Getpid() {
				continue
			}
			environ, err := os.ReadFile("/proc/" + entry.Name() + "/environ")
			if err != nil || !bytes.Contains(append([]byte{0}, environ...), mark) {
				continue
			}
			found = syscall.Kill(pid, syscall.SIGKILL) == nil || found
		}
		if !found {
			return
		}
	}
}

// buildOutput keeps what a build says. Its Write is called by one goroutine at a time, and never fails: a full log must
// not end a build.
type buildOutput struct {
	file     *os.File
	observer Observer
	written  int64
	end      []byte
}

func (b *buildOutput) Write(p []byte) (int, error) {
	if b.written < maxBuildLog {
		_, _ = b.file.Write(p)
	}
	b.written += int64(len(p))
	b.end = append(b.end, p...)
	if len(b.end) > 2*buildTail {
		b.end = append([]byte(nil), b.end[len(b.end)-buildTail:]...)
	}
	b.observer.Progress(b.written, 0)
	return len(p), nil
}

// tail is the end of what it said.
func (b *buildOutput) tail() string {
	end := b.end
	if len(end) > buildTail {
		end = end[len(end)-buildTail:]
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(end), "?"))
}
