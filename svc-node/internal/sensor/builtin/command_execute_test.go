package builtin

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestACommandPassesOnExitZeroOnly(t *testing.T) {
	p := place(t)
	for command, want := range map[string]string{
		"echo success":                          "INFO OK 'echo success' run with success",
		"echo failure; echo me; exit 1":         `ERROR ERROR 'echo failure; echo me; exit 1' run with failure, output: b'failure\nme\n'`,
		`printf "it's \377"; kill -9 $$`:        `ERROR ERROR 'printf "it\'s \\377"; kill -9 $$' run with failure, output: b"it's \xff"`,
		"/no/such/program 2>/dev/null":          "ERROR ERROR '/no/such/program 2>/dev/null' run with failure, output: b''",
		`test "$(pwd)" = "` + p.Directory + `"`: `INFO OK 'test "$(pwd)" = "` + p.Directory + `"' run with success`,
	} {
		expect(t, sense(t, p, check(t, "check_command_execute", map[string]string{"command": command})), want)
	}
	windows(t, check(t, "check_command_execute", map[string]string{"command": "x", "result_count": "4", "failure_amount": "2"}), Rule{}, Rule{4, 2}, true)
}

func TestACommandRunsAsThePartitionsUser(t *testing.T) {
	want := "test $(id -u) = " + map[bool]string{true: "65534", false: "$(id -u)"}[os.Getuid() == 0]
	expect(t, sense(t, place(t), check(t, "check_command_execute", map[string]string{"command": want})), "INFO OK '"+want+"' run with success")
}

func TestACommandThatHangsIsEnded(t *testing.T) {
	p := place(t)
	p.Timeout = 300 * time.Millisecond
	got := sense(t, p, check(t, "check_command_execute", map[string]string{"command": "echo waiting; sleep 600"}))
	expect(t, got, `ERROR ERROR 'echo waiting; sleep 600' was ended after 300ms, output: b'waiting\n'`)
	if strings.Contains(got, "success") {
		t.Error("it passes")
	}
}
