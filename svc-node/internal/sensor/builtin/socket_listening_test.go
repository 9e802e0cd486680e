package builtin

import (
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"testing"
)

func TestASocketThatListensPassesAndOneThatDoesNotFails(t *testing.T) {
	p := place(t)
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		c := check(t, "check_socket_listening", map[string]string{"host": host, "port": strconv.Itoa(port)})
		address := fmt.Sprintf("('%s', %d)", host, port)
		if host == "::1" {
			address = fmt.Sprintf("('::1', %d, 0, 0)", port)
		}
		expect(t, sense(t, p, c), "INFO socket connection OK "+address)
		l.Close()
		expect(t, sense(t, p, c), "ERROR ConnectionRefusedError: [Errno 111] Connection refused")
		windows(t, c, Rule{}, Rule{3, 3}, true)
	}
}

func TestAUnixSocketIsReachedByPathAndByAbstractName(t *testing.T) {
	p := place(t)
	path := filepath.Join(p.Directory, "s")
	c := check(t, "check_socket_listening", map[string]string{"pathname": path})
	expect(t, sense(t, p, c), "ERROR FileNotFoundError: [Errno 2] No such file or directory")
	var l net.Listener
	if err := p.User.Do(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	expect(t, sense(t, p, c), "INFO socket connection OK '"+path+"'")

	abstract, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", "@"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer abstract.Close()
	expect(t, sense(t, p, check(t, "check_socket_listening", map[string]string{"abstract": path})), `INFO socket connection OK '\x00`+path+"'")
}

func TestAnAddressIsGivenInOneOfThreeForms(t *testing.T) {
	for _, keys := range [][]string{{}, {"port"}, {"host"}, {"host", "pathname"}, {"host", "abstract"}, {"pathname", "abstract"}} {
		config := map[string]string{}
		for _, key := range keys {
			config[key] = "1"
		}
		expect(t, sense(t, place(t), check(t, "check_socket_listening", config)), "ERROR "+addressUsage)
	}
}
