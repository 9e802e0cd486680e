// Command validate has a real kube-apiserver, with a real etcd, take every object of tilt/k8s: server-side apply, dry run, strict about fields. A warning is a failure, too.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/vow-os/vow/tools/cluster/api"
	"github.com/vow-os/vow/tools/cluster/manifest"
)

// startTimeout bounds how long etcd and the API server may take; 10 s on two idle cores.
const startTimeout = 5 * time.Minute

// overlays are what is applied.
var overlays = []string{"tilt/k8s/base", "tilt/k8s/dev", "tilt/k8s/ha"}

func main() {
	root := flag.String("root", ".", "the repository's root")
	apiserver := flag.String("apiserver", ".cache/kube-apiserver", "path of kube-apiserver")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *root, *apiserver)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "validate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, apiserver string) error {
	work, err := os.MkdirTemp("", "vow-validate-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work) //nolint:errcheck // a folder for temporary files
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := start(ctx, work, apiserver)
	if err != nil {
		return err
	}
	defer func() { cancel(); s.wait() }()
	failed, applied := 0, 0
	for _, overlay := range overlays {
		objects, err := manifest.Build(root, overlay)
		if err != nil {
			return err
		}
		for _, o := range objects {
			// A namespace is made for good, since what is in it is refused without.
			if err := s.Apply(ctx, o, o.Kind != "Namespace"); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %s: %v\n", overlay, o, err)
				failed++
			}
			applied++
		}
		fmt.Printf("%-16s %d objects\n", overlay, len(objects))
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d objects are not valid", failed, applied)
	}
	return nil
}

// server is a running API server.
type server struct {
	*api.Client
	commands []*exec.Cmd
}

func start(ctx context.Context, work, apiserver string) (*server, error) {
	ports, err := free(3)
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	keyFile, tokens := filepath.Join(work, "service-account.pem"), filepath.Join(work, "tokens.csv")
	token := rand.Text()
	s := &server{Client: api.New("https://"+ports[2], token, "validate")}
	if err := errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(tokens, []byte(token+",validate,1,system:masters\n"), 0o600),
	); err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(ports[2])
	if err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"etcd", "--data-dir", filepath.Join(work, "etcd"), "--listen-client-urls", "http://" + ports[0], "--advertise-client-urls", "http://" + ports[0], "--listen-peer-urls", "http://" + ports[1]},
		{
			apiserver, "--etcd-servers=http://" + ports[0], "--bind-address=127.0.0.1", "--secure-port=" + port, "--cert-dir=" + work, "--service-cluster-ip-range=10.0.0.0/24",
			"--service-account-issuer=https://validate", "--service-account-key-file=" + keyFile, "--service-account-signing-key-file=" + keyFile,
			"--token-auth-file=" + tokens, "--authorization-mode=AlwaysAllow",
		},
	} {
		log, err := os.Create(filepath.Join(work, filepath.Base(args[0])+".log"))
		if err != nil {
			return nil, err
		}
		command := exec.CommandContext(ctx, args[0], args[1:]...)
		command.Stdout, command.Stderr = log, log
		if err := command.Start(); err != nil {
			return nil, fmt.Errorf("cannot start %s: %w", args[0], err)
		}
		_ = log.Close() // the child has it
		s.commands = append(s.commands, command)
	}
	ready, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := s.Ready(ready); err != nil {
		log, _ := os.ReadFile(filepath.Join(work, filepath.Base(apiserver)+".log"))
		return nil, fmt.Errorf("%w\n%s", err, log[max(0, len(log)-3000):])
	}
	return s, nil
}

// wait until all that was started is gone.
func (s *server) wait() {
	for _, c := range s.commands {
		_ = c.Wait() // killed on purpose
	}
}

// free asks the kernel for addresses.
func free(number int) ([]string, error) {
	var all []string
	for range number {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		all = append(all, listener.Addr().String())
	}
	return all, nil
}
