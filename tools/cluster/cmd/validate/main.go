// Command validate has a real kube-apiserver, with a real etcd, take every object of tilt/k8s: server-side apply, dry run, strict about fields. A warning is a failure, too.
package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

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
	defer os.RemoveAll(work)
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
			if err := s.apply(ctx, o); err != nil {
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
	base, token string
	http        *http.Client
	commands    []*exec.Cmd
	kinds       map[string]resource // by apiVersion and kind
}

// resource is how the API server calls a kind.
type resource struct {
	Name       string `json:"name"`
	Kind       string `json:"kind"`
	Namespaced bool   `json:"namespaced"`
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
	s := &server{
		base: "https://" + ports[2], token: rand.Text(), kinds: map[string]resource{},
		// The certificate is the server's own, made a second ago, and the server is a child of ours on loopback.
		http: &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}},
	}
	if err := errors.Join(
		os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600),
		os.WriteFile(tokens, []byte(s.token+",validate,1,system:masters\n"), 0o600),
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
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := s.ask(ready, http.MethodGet, "/readyz", nil); err == nil {
			return s, nil
		}
		select {
		case <-ready.Done():
			log, _ := os.ReadFile(filepath.Join(work, filepath.Base(apiserver)+".log"))
			return nil, fmt.Errorf("cannot start the API server: %w\n%s", ready.Err(), log[max(0, len(log)-3000):])
		case <-tick.C:
		}
	}
}

// wait until all that was started is gone.
func (s *server) wait() {
	for _, c := range s.commands {
		_ = c.Wait() // killed on purpose
	}
}

// apply validates one object. A namespace is made for good, since what is in it is refused without.
func (s *server) apply(ctx context.Context, o manifest.Object) error {
	r, err := s.resource(ctx, o)
	if err != nil {
		return err
	}
	path := groupPath(o.APIVersion)
	if r.Namespaced {
		path += "/namespaces/" + o.Namespace
	}
	path += "/" + r.Name + "/" + o.Name + "?fieldManager=validate&fieldValidation=Strict&force=true"
	if o.Kind != "Namespace" {
		path += "&dryRun=All"
	}
	_, err = s.ask(ctx, http.MethodPatch, path, o.YAML)
	return err
}

// resource asks the API server how it calls a kind.
func (s *server) resource(ctx context.Context, o manifest.Object) (resource, error) {
	key := o.APIVersion + " " + o.Kind
	if r, known := s.kinds[key]; known {
		return r, nil
	}
	answer, err := s.ask(ctx, http.MethodGet, groupPath(o.APIVersion), nil)
	if err != nil {
		return resource{}, err
	}
	var list struct {
		Resources []resource `json:"resources"`
	}
	if err := json.Unmarshal(answer, &list); err != nil {
		return resource{}, err
	}
	for _, r := range list.Resources {
		if !strings.Contains(r.Name, "/") {
			s.kinds[o.APIVersion+" "+r.Kind] = r
		}
	}
	r, known := s.kinds[key]
	if !known {
		return resource{}, fmt.Errorf("the API server knows no %s", key)
	}
	return r, nil
}

func groupPath(apiVersion string) string {
	if !strings.Contains(apiVersion, "/") {
		return "/api/" + apiVersion
	}
	return "/apis/" + apiVersion
}

func (s *server) ask(ctx context.Context, method, path string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.token)
	if body != nil { // a question that says what its body is, and has none, is refused
		request.Header.Set("Content-Type", "application/apply-patch+yaml")
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		var status struct {
			Message string `json:"message"`
		}
		if json.Unmarshal(answer, &status) != nil || status.Message == "" {
			status.Message = string(answer)
		}
		return nil, errors.New(status.Message)
	}
	if warnings := response.Header.Values("Warning"); len(warnings) > 0 {
		return nil, fmt.Errorf("warned: %s", strings.Join(warnings, "; "))
	}
	return answer, nil
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
