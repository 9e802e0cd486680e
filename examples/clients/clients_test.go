package clients

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience bounds each client and the start of the fleet: generous, because the machine may be busy.
const patience = 90 * time.Second

// fleet is a running `vow up`.
type fleet struct{ master, release string }

// startFleet runs `vow up` with free ports in a directory of its own.
func startFleet(t *testing.T, programs string) fleet {
	t.Helper()
	dir, err := os.MkdirTemp("", "vow-") // t.TempDir is too long for the path of a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	log, err := os.Create(filepath.Join(dir, "up.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	up := exec.Command(filepath.Join(programs, "vow"), "up", "-o", "json", "--data", dir, "--partitions", "20",
		"--master", "127.0.0.1:0", "--scheduler", "127.0.0.1:0", "--promise", "127.0.0.1:0", "--console", "", "--no-admin")
	up.Stderr = log
	out, err := up.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = up.Process.Signal(syscall.SIGINT) // its end is looked at below
		if err := up.Wait(); err != nil {
			said, _ := os.ReadFile(log.Name())
			t.Errorf("vow up: %v\n%s", err, said)
		}
	})
	var told struct {
		Endpoints struct{ Master string }
		Tree      struct {
			Instances []struct {
				SoftwareRelease string `json:"software_release"`
			}
		}
	}
	if err := json.NewDecoder(out).Decode(&told); err != nil || len(told.Tree.Instances) == 0 {
		t.Fatalf("vow up says %+v: %v", told, err)
	}
	return fleet{told.Endpoints.Master, told.Tree.Instances[0].SoftwareRelease}
}

// build compiles the Go programs; vow comes from the workspace, as somebody else's binary.
func build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	here := exec.Command("go", "build", "-o", dir+"/", "./connect", "./grpc")
	here.Env = append(os.Environ(), "GOWORK=off")
	vow := exec.Command("go", "build", "-o", dir+"/", ".")
	vow.Dir = filepath.Join("..", "..", "vow")
	for _, command := range []*exec.Cmd{here, vow} {
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	return dir
}

// freePorts asks the kernel for ports, all at the same time. Trees that are deployed at once would choose the same ones, and one of them would bang until it has another.
func freePorts(t *testing.T, number int) (addresses []string) {
	t.Helper()
	for range number {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses
}

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// TestEveryClientDeploysATree runs the four programs at once on one fleet: each gets its tree Green, reads where it is, which is true, and sees the convergence of its bang end.
func TestEveryClientDeploysATree(t *testing.T) {
	programs := build(t)
	f := startFleet(t, programs)
	ports := freePorts(t, 8)
	t.Run("clients", func(t *testing.T) { // ends when all parallel ones have, before the fleet does
		for name, command := range map[string][]string{
			// A replica that is down: the calls go to the other one.
			"grpc":       {filepath.Join(programs, "grpc"), "--master", "127.0.0.1:1," + f.master},
			"typescript": {"node", filepath.Join("typescript", "dist", "main.js"), "http://" + f.master},
			"curl":       {filepath.Join("curl", "deploy.sh"), "http://" + f.master},
		} {
			site := "http://" + ports[0] + "/"
			command = append(command, name+" site", f.release, "web-port="+port(ports[0]), "store-port="+port(ports[1]))
			ports = ports[2:]
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				program := exec.CommandContext(ctx, command[0], command[1:]...)
				out, err := program.CombinedOutput()
				if err != nil {
					t.Fatalf("%v: %v\n%s", program, err, out)
				}
				deployed(t, string(out), site)
				if out, err = exec.CommandContext(ctx, command[0], command[1:]...).CombinedOutput(); err != nil { // the tree is there already
					t.Errorf("again: %v\n%s", err, out)
				}
			})
		}
		t.Run("connect", func(t *testing.T) {
			t.Parallel()
			serviceDeploys(t, filepath.Join(programs, "connect"), f, ports)
		})
	})
}

// converged is the line of a convergence that ended well; its id is found by it.
var converged = regexp.MustCompile(`(\S+) (CONVERGENCE_STATE_)?CONVERGED`)

// deployed looks at what a client said, and at the site.
func deployed(t *testing.T, said, site string) {
	t.Helper()
	if !strings.Contains(said, "is Green") || !strings.Contains(said, "web-url="+site) || !converged.MatchString(said) {
		t.Errorf("it does not say that it is Green at %s, and converged:\n%s", site, said)
	}
	if strings.Contains(said, "password") {
		t.Errorf("it tells secrets:\n%s", said)
	}
	if answer := get(t, site); !strings.Contains(answer, `"name":"web"`) {
		t.Errorf("the site says %q", answer)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	return do(t, http.MethodGet, url, "")
}

// do makes a request and returns its code and body.
func do(t *testing.T, method, url, key string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	response, err := (&http.Client{}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.Status + " " + string(body)
}

// serviceDeploys asks the service for a site.
func serviceDeploys(t *testing.T, program string, f fleet, ports []string) {
	t.Helper()
	service := exec.Command(program, "--address", "127.0.0.1:0", "--master", "http://"+f.master, "--release", f.release)
	service.Stderr = os.Stderr
	out, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = service.Process.Signal(syscall.SIGTERM) // its end is looked at
		if err := service.Wait(); err != nil {
			t.Errorf("it ends with %v", err)
		}
	}()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	at := strings.TrimSpace(strings.TrimPrefix(line, "listening on "))
	site := "http://" + ports[0] + "/"
	put := do(t, http.MethodPut, at+"/sites/shop?web-port="+port(ports[0])+"&store-port="+port(ports[1]), "k1")
	if !strings.HasPrefix(put, "200 ") || !strings.Contains(put, site) || !strings.Contains(get(t, site), `"name":"web"`) {
		t.Errorf("it answers %q, want a site at %s", put, site)
	}
	ids := map[string]bool{}
	for range 2 { // one key, one bang, one convergence
		bang := do(t, http.MethodPost, at+"/sites/shop/bang", "k2")
		if end := converged.FindStringSubmatch(bang); end != nil {
			ids[end[1]] = true
		} else {
			t.Errorf("a bang is answered %q", bang)
		}
	}
	if len(ids) != 1 {
		t.Errorf("two calls with one key made the convergences %v", ids)
	}
	for want, url := range map[string]string{"400": "/sites/%07", "404": "/sites/nothing/bang"} {
		method := http.MethodPut
		if want == "404" {
			method = http.MethodPost
		}
		if got := do(t, method, at+url, ""); !strings.HasPrefix(got, want) {
			t.Errorf("%s is answered %q, want %s", url, got, want)
		}
	}
}
