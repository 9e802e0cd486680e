package real

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	masterv1 "github.com/vow-os/vow/gen/vow/master/v1"
)

// redis asks a Redis one thing per line and returns the last answer.
func redis(t *testing.T, address string, lines ...string) string {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	answers, last := bufio.NewReader(conn), ""
	for _, line := range lines {
		if _, err := fmt.Fprintf(conn, "%s\r\n", line); err != nil {
			return err.Error()
		}
		if last, err = answers.ReadString('\n'); err != nil {
			return err.Error()
		}
		if strings.HasPrefix(last, "$") && last != "$-1\r\n" { // a value follows
			if last, err = answers.ReadString('\n'); err != nil {
				return err.Error()
			}
		}
		last = strings.TrimSpace(last)
	}
	return last
}

// TestTheDatabaseTreeServesBacksUpAndOutlivesAKill deploys examples/database as its author would, with all services as
// processes of their own.
func TestTheDatabaseTreeServesBacksUpAndOutlivesAKill(t *testing.T) {
	for _, needed := range []string{"/usr/bin/redis-server", "/usr/bin/python3", "/usr/bin/curl"} {
		if _, err := os.Stat(needed); err != nil && os.Getenv("CI") == "" {
			t.Skipf("%v: make setup", err)
		}
	}
	s := begin(t)
	release, err := filepath.Abs(filepath.Join("..", "..", "examples", "database"))
	if err != nil {
		t.Fatal(err)
	}
	software := "file://" + release
	await(t, "the node has registered its computer", func() bool {
		_, err := s.software.SupplySoftware(t.Context(), &masterv1.SupplySoftwareRequest{SoftwareRelease: software, Computer: "laptop"})
		return err == nil
	})
	request := &masterv1.RequestInstanceRequest{
		Title: "orders", SoftwareRelease: software,
		Parameters: map[string]string{"_": `{"title": "Orders & more", "maxmemory": "", "backup-frequency": "@reboot"}`},
	}
	response, err := s.instances.RequestInstance(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	s.green(response.GetInstance().GetTreeId())
	if response, err = s.instances.RequestInstance(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	published := map[string]string{}
	if err := json.Unmarshal([]byte(response.GetInstance().GetConnectionParameters()["_"]), &published); err != nil {
		t.Fatalf("%v: %v", err, response)
	}
	at, err := url.Parse(published["database-url"])
	if err != nil || len(published["database-password"]) < 16 || len(published["token"]) < 16 {
		t.Fatalf("published: %v, %v", published, err)
	}

	login := "AUTH " + published["database-password"]
	if answer := redis(t, at.Host, login, "SET order 1", "GET order"); answer != "1" {
		t.Errorf("redis answers %q", answer)
	}
	if answer := redis(t, at.Host, "GET order"); !strings.HasPrefix(answer, "-NOAUTH") {
		t.Errorf("redis answers %q without a password", answer)
	}
	if answer := redis(t, at.Host, login, "CONFIG GET maxmemory", "PING"); !strings.Contains(answer, "maxmemory") {
		t.Errorf("redis answers %q", answer)
	}
	get, err := http.NewRequestWithContext(t.Context(), http.MethodGet, published["web-url"], nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := (&http.Client{}).Do(get)
	if err != nil {
		t.Fatal(err)
	}
	defer page.Body.Close()
	text, err := io.ReadAll(page.Body)
	if err != nil || !strings.Contains(string(text), "<h1>Orders &amp; more</h1>") || !strings.Contains(string(text), "port "+at.Port()) {
		t.Errorf("the page is %s, %v", text, err)
	}
	var backup []string
	await(t, "cron has backed the database up", func() bool {
		backup, _ = filepath.Glob(filepath.Join(s.dir, "instance", "slappart*", "srv", "backup", "dump.rdb"))
		return len(backup) == 1
	})

	partition := strings.TrimSuffix(backup[0], "/srv/backup/dump.rdb")
	before := pidOf(t, "redis-server 127.0.0.1:"+at.Port())
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	await(t, "redis runs again, with what was in it", func() bool { return redis(t, at.Host, login, "GET order") == "1" })
	if after := pidOf(t, "redis-server 127.0.0.1:"+at.Port()); after == before {
		t.Errorf("the killed process %d still runs in %s", before, partition)
	}
	s.green(response.GetInstance().GetTreeId())
}

// pidOf finds the process whose command line begins with the words.
func pidOf(t *testing.T, words string) int {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		line, _ := os.ReadFile(path) // a process may be gone
		pid := 0
		if strings.Contains(strings.ReplaceAll(string(line), "\x00", " "), words) {
			if _, err := fmt.Sscanf(path, "/proc/%d/cmdline", &pid); err != nil {
				t.Fatal(err)
			}
			return pid
		}
	}
	t.Fatalf("no process is %q", words)
	return 0
}
