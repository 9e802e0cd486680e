package builtin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// supervisord answers getProcessInfo over a unix socket as the real one does.
func supervisord(t *testing.T, p Place, folder string, states map[string]string) {
	t.Helper()
	var l net.Listener
	if err := p.User.Do(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(folder, "sv.sock"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: 1e9, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call, _ := io.ReadAll(r.Body)
		for name, state := range states {
			if r.URL.Path == "/RPC2" && strings.Contains(string(call), "<methodName>supervisor.getProcessInfo</methodName>") && strings.Contains(string(call), "<string>"+name+"</string>") {
				fmt.Fprintf(w, "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><struct>\n<member>\n<name>description</name>\n<value><string>pid 1</string></value>\n</member>\n"+
					"<member>\n<name>state</name>\n<value><int>20</int></value>\n</member>\n<member>\n<name>statename</name>\n<value><string>%s</string></value>\n</member>\n</struct></value>\n</param>\n</params>\n</methodResponse>\n", state)
				return
			}
		}
		fmt.Fprint(w, "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value><int>10</int></value>\n</member>\n"+
			"<member>\n<name>faultString</name>\n<value><string>BAD_NAME: nobody</string></value>\n</member>\n</struct></value>\n</fault>\n</methodResponse>\n")
	})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
}

func TestAServiceIsInTheStateExpected(t *testing.T) {
	p := place(t)
	supervisord(t, p, p.Directory, map[string]string{"group:web": "RUNNING", "group:old": "STOPPED"})
	for _, one := range []struct{ service, expect, want string }{
		{"group:web", "running", "INFO OK service 'group:web' is in expected state 'running'"},
		{"group:web", "stopped", "ERROR ERROR service 'group:web' is in state 'running' (expected 'stopped')"},
		{"group:old", "running", "ERROR ERROR service 'group:old' is in state 'stopped' (expected 'running')"},
		{"group:old", "stopped", "INFO OK service 'group:old' is in expected state 'stopped'"},
		{"group:web", "undefined", "INFO OK service 'group:web' is allowed to be in any state (expect = 'undefined')"},
		{"", "running", "ERROR ERROR no service is specified"},
		{"nobody", "running", "ERROR ERROR <Fault 'BAD_NAME: nobody'>"},
	} {
		config := map[string]string{"service": one.service, "expect": one.expect, "run-directory": p.Directory}
		expect(t, sense(t, p, check(t, "check_service_state", config)), one.want)
	}
	expect(t, sense(t, p, check(t, "check_service_state", map[string]string{"service": "x", "expect": "running"})), "ERROR ERROR FileNotFoundError(2, 'No such file or directory')")
	windows(t, check(t, "check_service_state", nil), Rule{}, Rule{3, 3}, true)
}
