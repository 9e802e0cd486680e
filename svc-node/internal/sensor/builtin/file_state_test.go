package builtin

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAFileIsInTheStateThatIsWantedOrFails(t *testing.T) {
	p := place(t)
	empty, full, none, folder := file(t, p, "empty", ""), file(t, p, "full", "x"), filepath.Join(p.Directory, "none"), filepath.Join(p.Directory, "folder")
	if err := os.Mkdir(folder, 0o755); err != nil { //nolint:gosec // for the partition's user
		t.Fatal(err)
	}
	for _, c := range []struct{ name, state, url, want string }{
		{empty, "empty", "", "INFO OK '" + empty + "' state 'empty'"},
		{full, "not-empty", "", "INFO OK '" + full + "' state 'not-empty'"},
		{none, "absent", "", "INFO OK '" + none + "' state 'absent'"},
		{"full", "not-empty", "", "INFO OK 'full' state 'not-empty'"},
		{full, "empty", "https://example.com/", "ERROR ERROR '" + full + "' not empty, content available at https://example.com/"},
		{full, "empty", "", "ERROR ERROR '" + full + "' not empty"},
		{empty, "not-empty", "", "ERROR ERROR '" + empty + "' empty"},
		{full, "absent", "", "ERROR ERROR '" + full + "' not absent"},
		{none, "empty", "", "ERROR ERROR '" + none + "' not present"},
		{folder, "not-empty", "", "ERROR ERROR IsADirectoryError(21, 'Is a directory') during opening and reading file '" + folder + "'"},
	} {
		expect(t, sense(t, p, check(t, "check_file_state", map[string]string{"filename": c.name, "state": c.state, "url": c.url})), c.want)
	}
	windows(t, check(t, "check_file_state", map[string]string{"filename": "x", "result-count": "3", "failure-amount": "2"}), Rule{3, 2}, Rule{3, 2}, true)
	if c := check(t, "check_file_state", map[string]string{"filename": "x", "perdiodic-only": "Yes"}); !c.Testless || c.Anomalyless {
		t.Errorf("check is %+v", c)
	}
	if c := check(t, "check_file_state", map[string]string{"filename": "x", "report-anomaly": "no"}); c.Testless || !c.Anomalyless {
		t.Errorf("check is %+v", c)
	}
}

// A promise belongs to its partition, the agent may be root: a file that the partition's user cannot read stays unread.
func TestAFileOfSomebodyElseIsRefused(t *testing.T) {
	p := place(t)
	secret := filepath.Join(t.TempDir(), "secret")
	mode := os.FileMode(0o600)
	if os.Getuid() != 0 {
		mode = 0
	}
	if err := os.WriteFile(secret, []byte("x"), mode); err != nil {
		t.Fatal(err)
	}
	for at := filepath.Dir(secret); at != "/" && os.Getuid() == 0; at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil { //nolint:gosec // the file itself must be what refuses
			t.Fatal(err)
		}
	}
	expect(t, sense(t, p, check(t, "check_file_state", map[string]string{"filename": secret, "state": "not-empty"})),
		"ERROR ERROR PermissionError(13, 'Permission denied') during opening and reading file '"+secret+"'")
	expect(t, sense(t, p, check(t, "check_certificate", map[string]string{"certificate": secret})),
		"ERROR ERROR Problem loading certificate '"+secret+"', error: [Errno 13] Permission denied: '"+secret+"'")
}
