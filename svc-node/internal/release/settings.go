package release

import (
	"context"
	"crypto/x509"
	"time"

	"github.com/vow-os/vow/svc-node/internal/privilege"
)

// Defaults of Settings.
const (
	// DefaultMaxBytes is twice what the largest releases in production unpack to.
	DefaultMaxBytes = 20 << 30
	// MaxFiles bounds what one release may hold; the largest in production have some 100,000.
	MaxFiles = 500_000
	// MaxRatio bounds how many times larger than an archive its content may be: source code has 5, the zeros of a disk
	// image 1,000. Content below RatioFloor is not judged.
	MaxRatio   = 200
	RatioFloor = 64 << 20
	// DefaultStall is how long a download waits for the next byte, as SlapOS's HTTP client does.
	DefaultStall = time.Minute
	// MaxBuild and MaxDownload bound a build and a download: SlapOS opens a ticket after as long.
	MaxBuild    = 12 * time.Hour
	MaxDownload = 12 * time.Hour
)

// Settings is what a Root works with. Zero values mean the defaults, and no buildout.
type Settings struct {
	// MinFree is how many bytes stay free on the file system of the software root; 0 = none have to.
	MinFree int64
	// MaxBytes bounds an archive and what it unpacks to, in bytes; 0 = DefaultMaxBytes.
	MaxBytes int64
	// MaxFiles bounds the entries of a release; 0 = the constant.
	MaxFiles int
	// MaxRatio and RatioFloor are as the constants; 0 = those.
	MaxRatio, RatioFloor int64
	// Buildout is the executable that builds profiles; empty = profiles cannot be installed.
	Buildout string
	// Stall is as DefaultStall; 0 = that.
	Stall time.Duration
	// User is who all is done as, asked for each time; its error is that of what was to be done. nil = the agent's own.
	User func() (privilege.User, error)
	// RootCAs verifies https: servers; nil = the system's.
	RootCAs *x509.CertPool
}

func (s Settings) withDefaults() Settings {
	set := func(v *int64, to int64) {
		if *v == 0 {
			*v = to
		}
	}
	set(&s.MaxBytes, DefaultMaxBytes)
	set(&s.MaxRatio, MaxRatio)
	set(&s.RatioFloor, RatioFloor)
	if s.MaxFiles == 0 {
		s.MaxFiles = MaxFiles
	}
	if s.Stall == 0 {
		s.Stall = DefaultStall
	}
	return s
}

// Step is one step of an installation.
type Step string

// The steps.
const (
	Download Step = "download"
	Verify   Step = "verify"
	Unpack   Step = "unpack"
	Copy     Step = "copy"
	Build    Step = "build"
)

// Observer is told what an installation does. Its methods are called by one goroutine.
type Observer interface {
	// Begin begins a step; end is called when it is over. The returned context is the step's.
	Begin(ctx context.Context, step Step) (stepCtx context.Context, end func(error))
	// Progress tells how many bytes the step is done with, of how many; 0 = not known. It may be called for every few
	// kilobytes and must be cheap.
	Progress(done, total int64)
}

// nobody observes nothing.
type nobody struct{}

func (nobody) Begin(ctx context.Context, _ Step) (context.Context, func(error)) {
	return ctx, func(error) {}
}
func (nobody) Progress(int64, int64) {}
