package recipe

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vow-os/vow/svc-node/profile"
)

func TestTheUserOfThePartitionIsTold(t *testing.T) {
	w := newWorld(t)
	w.fails("[a]\nrecipe = slapos.cookbook:userinfo\n", "cannot tell the partition's user")
	w.user = profile.User{Name: "slapuser0", UID: "1000", Group: "slapos", GID: "1001", Home: "/p"}
	w.must("[a]\nrecipe = slapos.cookbook:publish\nx = ${u:pw-name} ${u:pw-uid} ${u:gr-name} ${u:gr-gid} ${u:pw-dir}\n[u]\nrecipe = slapos.cookbook:userinfo\n")
	if want := "slapuser0 1000 slapos 1001 /p"; w.published["x"] != want {
		t.Errorf("got %s, want %s", w.published["x"], want)
	}
}

func TestLogrotateAndItsEntries(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:logrotate\nlogrotate-entries = /p/d\nbackup = /p/b\nconf = /p/c\nwrapper = /p/w\nlogrotate-binary = /r/logrotate\ngzip-binary = /r/gzip\ngunzip-binary = /r/gunzip\nstate-file = /p/s\nnum-rotate = 30\n")
	w.wants("/p/c", "include /p/d\nolddir /p/b\ndateext\ndaily\nrotate 30\ncompress\ncompresscmd /r/gzip\ncompressoptions -9\nuncompresscmd /r/gunzip\n", 0o640)
	w.wants("/p/w", header+"exec /r/logrotate -s /p/s /p/c \"$@\"\n", 0o700)
	w.must("[a]\nrecipe = slapos.cookbook:logrotate.d\nlogrotate-entries = /p/d\nname = web\nlog = /p/*.log\nfrequency = weekly\nrotate-num = 7\npost = kill -USR1 1\nsharedscripts = true\nnotifempty = true\ncreate = false\n")
	w.wants("/p/d/web", "/p/*.log {\nweekly\nrotate 7\npostrotate\nkill -USR1 1\nendscript\nsharedscripts\nnotifempty\n}\n", 0o640)
	w.fails("[a]\nrecipe = slapos.cookbook:logrotate.d\nlogrotate-entries = /p/d\nlog = x\nfrequency = often\n", "[a] frequency: cannot use \"often\"")
	w.fails("[a]\nrecipe = slapos.cookbook:logrotate.d\nlogrotate-entries = /p/d\nlog = x } y\n", "[a] log: cannot rotate")
	w.fails("[a]\nrecipe = slapos.cookbook:logrotate.d\nlogrotate-entries = /p/d\nlog = x\npost = endscript\n", "would end its own entry")
}

const authority = "ca-dir = DIR\nrequests-directory = DIR/requests\nca-private = DIR/private\nca-certs = DIR/certs\nca-newcerts = DIR/newcerts\nca-crl = DIR/crl\n"

// The authority really signs, with the machine's openssl, and what waits for the certificate starts.
func TestACertificateAuthoritySignsWhatIsRequested(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"requests", "private", "certs", "newcerts", "crl"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o750); err != nil {
			t.Fatal(err)
		}
	}
	w := newWorld(t)
	w.must(strings.ReplaceAll("[a]\nrecipe = slapos.cookbook:certificate_authority\nopenssl-binary = openssl\nwrapper = DIR/authority\ncompany = Nobody\n"+authority, "DIR", dir))
	w.must(strings.ReplaceAll("[a]\nrecipe = slapos.cookbook:certificate_authority.request\nname = the web\nkey-file = DIR/web.key\ncert-file = DIR/web.crt\nexecutable = /bin/echo\nwrapper = DIR/web\n"+authority, "DIR", dir))
	for name, f := range w.files {
		if err := os.WriteFile(name, []byte(f.content), f.mode); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range w.links {
		if err := os.Symlink(target, name); err != nil {
			t.Fatal(err)
		}
	}
	service := exec.Command(filepath.Join(dir, "authority"))
	var said bytes.Buffer
	service.Stdout, service.Stderr = &said, &said
	service.WaitDelay = time.Second
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	waiting := exec.CommandContext(ctx, filepath.Join(dir, "web"), "started")
	waiting.WaitDelay = time.Second
	output, err := waiting.CombinedOutput()
	_ = service.Process.Kill()
	_ = service.Wait()
	if err != nil || string(output) != "started\n" {
		t.Fatalf("the program that waits: %v, %s; the authority says %s", err, output, said.String())
	}
	verified, err := exec.Command("openssl", "verify", "-CAfile", filepath.Join(dir, "cacert.pem"), filepath.Join(dir, "web.crt")).CombinedOutput()
	if err != nil {
		t.Errorf("the certificate: %v, %s", err, verified)
	}
	subject, err := exec.Command("openssl", "x509", "-noout", "-subject", "-in", filepath.Join(dir, "web.crt")).CombinedOutput()
	if err != nil || !strings.Contains(string(subject), "the web") || !strings.Contains(string(subject), "Nobody") {
		t.Errorf("the subject: %v, %s", err, subject)
	}
	w.fails(strings.ReplaceAll("[a]\nrecipe = slapos.cookbook:certificate_authority.request\nkey-file = DIR/k\ncert-file = DIR/c\nkey-content = x\ncert-content = y\n"+authority, "DIR", dir), "[a] cert-content: cannot use the certificate with the key")
}

// tarOf makes a tar.gz of names and contents; a name ending in / is a directory, content after -> a link's target.
func tarOf(t testing.TB, entries ...[2]string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	a := tar.NewWriter(z)
	for _, e := range entries {
		h := &tar.Header{Name: e[0], Mode: 0o755, Size: int64(len(e[1])), Typeflag: tar.TypeReg}
		if target, ok := strings.CutPrefix(e[1], "->"); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, target, 0
		} else if strings.HasSuffix(e[0], "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := a.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := a.Write([]byte(e[1])); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestArchivesAreUnpackedWithinBounds(t *testing.T) {
	w := newWorld(t)
	const part = "[a]\nrecipe = slapos.recipe.build:download-unpacked\nurl = /r/x\n"
	w.files["/r/x"] = file{content: tarOf(t, [2]string{"top/"}, [2]string{"top/bin/run", "#!"}, [2]string{"top/link", "->bin/run"})}
	w.must(part)
	w.wants("/p/parts/a/bin/run", "#!", 0o750)
	if w.links["/p/parts/a/link"] != "bin/run" {
		t.Errorf("links %v", w.links)
	}
	w.must(part + "strip-top-level-dir = false\ndestination = /p/d\n")
	w.wants("/p/d/top/bin/run", "#!", 0o750)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("conf/a.txt")
	if err == nil {
		_, err = f.Write([]byte("zipped"))
	}
	if err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	w.files["/r/x"] = file{content: b.String()}
	w.must(part)
	w.wants("/p/parts/a/a.txt", "zipped", 0o640)
	w.fails(part+"md5sum = 0\n", "[a] md5sum: cannot use /r/x: its checksum is")
	for name, c := range map[string]struct{ content, want string }{
		"up":           {tarOf(t, [2]string{"../x", "y"}), "leads out of it"},
		"absolute":     {tarOf(t, [2]string{"/etc/x", "y"}), "is absolute"},
		"link up":      {tarOf(t, [2]string{"a/l", "->../../x"}), "leads out of it"},
		"link away":    {tarOf(t, [2]string{"l", "->/etc/passwd"}), "leads out of it"},
		"nothing":      {"no archive", "it is no archive: want tar"},
		"xz":           {"\xfd7zXZ\x00...", "the archive is damaged: xz"},
		"bomb":         {tarOf(t, [2]string{"zeros", strings.Repeat("\x00", MaxUnpackedBytes+1)}), "it unpacks to more than 64 MiB"},
		"stripped off": {tarOf(t, [2]string{"a/b", "x"}, [2]string{"a/l", "->../a/b"}), "leads out of it"},
	} {
		w.files["/r/x"] = file{content: c.content}
		if err := w.run(part); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.fails("[a]\nrecipe = slapos.recipe.build:download-unpacked\nurl = https://x/y.tar.gz\n", "cannot download https://x/y.tar.gz while deploying")
}

// The command really clones, follows a branch and stays at a revision.
func TestRepositoriesAreCloned(t *testing.T) {
	dir := t.TempDir()
	git := func(arguments ...string) string {
		t.Helper()
		c := exec.Command("git", append([]string{"-C", filepath.Join(dir, "origin"), "-c", "user.name=a", "-c", "user.email=a@b"}, arguments...)...)
		output, err := c.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v, %s", arguments, err, output)
		}
		return strings.TrimSpace(string(output))
	}
	if err := os.Mkdir(filepath.Join(dir, "origin"), 0o750); err != nil {
		t.Fatal(err)
	}
	git("init", "--quiet", "--initial-branch=main")
	git("commit", "--quiet", "--allow-empty", "-m", "one")
	first := git("rev-parse", "HEAD")
	w := newWorld(t)
	w.environment.BuildoutDirectory = dir
	run := func(more string) string {
		t.Helper()
		w.commands = nil
		w.must("[a]\nrecipe = slapos.recipe.build:gitclone\nrepository = " + filepath.Join(dir, "origin") + "\n" + more)
		if output, err := exec.Command("sh", "-c", w.commands[0]).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v, %s", w.commands[0], err, output)
		}
		location := filepath.Join(dir, "parts/a")
		if strings.Contains(more, "location") {
			location = filepath.Join(dir, "there it is")
		}
		head, err := exec.Command("git", "-C", location, "rev-parse", "HEAD").CombinedOutput()
		if err != nil {
			t.Fatalf("%v, %s", err, head)
		}
		return strings.TrimSpace(string(head))
	}
	if got := run("branch = main\n"); got != first {
		t.Errorf("cloned %s, want %s", got, first)
	}
	git("commit", "--quiet", "--allow-empty", "-m", "two")
	if got, want := run("branch = main\n"), git("rev-parse", "HEAD"); got != want {
		t.Errorf("followed to %s, want %s", got, want)
	}
	if got := run("revision = " + first + "\nlocation = " + dir + "/there it is\n"); got != first {
		t.Errorf("stayed at %s, want %s", got, first)
	}
	const part = "[a]\nrecipe = slapos.recipe.build:gitclone\nrepository = x\n"
	w.fails(part+"location = /etc\n", "[a] location: cannot clone into /etc: it is outside of the partition's directory")
	w.fails(part+"location = "+dir+"/../x\n", "outside of the partition's directory")
	w.fails(part+"revision = --upload-pack=evil\n", "[a] revision: cannot check out")
	w.fails(part+"depth = many\n", "[a] depth: cannot fetch \"many\" commits")
}

func TestWhatTheMasterMustNotKnowIsKeptInAFile(t *testing.T) {
	w := newWorld(t)
	const source = "[a]\nrecipe = slapos.cookbook:publish\nx = ${r:secret}\nw = ${w:recipe}\n[w]\nrecipe = slapos.cookbook:zero-knowledge.write\nfilename = k.cfg\nsecret = none yet\n[r]\nrecipe = slapos.cookbook:zero-knowledge.read\nfilename = k.cfg\n"
	w.fails(source, "there is no option secret in section [r]")
	w.must(strings.Replace(source, "x = ${r:secret}", "", 1))
	w.wants("/p/k.cfg", "[w]\nsecret = none yet\n", 0o600)
	w.files["/p/k.cfg"] = file{"[w]\n# mine\nsecret = changed by hand\n", 0o600}
	w.must(source)
	if w.published["x"] != "changed by hand" {
		t.Errorf("published %v", w.published)
	}
	w.fails("[a]\nrecipe = slapos.cookbook:zero-knowledge.read\n", "filename or file-path is needed")
}

func TestARedisIsConfigured(t *testing.T) {
	w := newWorld(t)
	const part = "[a]\nrecipe = slapos.cookbook:redis.server\nserver_bin = /r/redis-server\nconfig_file = /p/redis.conf\nwrapper = /p/w\nport = 6379\nipv6 = ::1\nserver_dir = /p/srv\npid_file = /p/pid\nlog_file = /p/log\npromise_wrapper = /p/promise\n"
	w.must(part + "requirepass = secret\n")
	if got := w.files["/p/redis.conf"]; !strings.Contains(got.content, "\nport 6379\nbind ::1\n") || !strings.Contains(got.content, "\nrequirepass secret\n") || got.mode != 0o600 {
		t.Errorf("got %v", got)
	}
	if got := w.files["/p/promise"].content; !strings.Contains(got, "/r/redis-cli -h ::1 -p 6379 ping") {
		t.Errorf("got %s", got)
	}
	w.must(strings.ReplaceAll(part, "_", "-") + "unixsocket = /p/redis.sock\ncli-bin = /r/cli\n")
	if got := w.files["/p/redis.conf"].content; !strings.Contains(got, "\nunixsocket /p/redis.sock\nunixsocketperm 700\n") {
		t.Errorf("got %s", got)
	}
	if got := w.files["/p/promise"].content; !strings.Contains(got, "(/r/cli -s /p/redis.sock ping") {
		t.Errorf("got %s", got)
	}
	w.fails(strings.Replace(part, "pid_file = /p/pid\n", "", 1), "needs the option pid-file")
	w.fails(part+"requirepass = two words\n", "[a] requirepass: cannot use a password with blanks")
}

func TestLinksOfBothForms(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = cns.recipe.symlink\nsymlink =\n  /p/results = /p/public/promise\n  /p/log=/p/all/log\n")
	w.must("[a]\nrecipe = cns.recipe.symlink\nsymlink_base = /r/bin\nsymlink_target = /p/bin\nsymlink = tool\n")
	if w.links["/p/public/promise"] != "/p/results" || w.links["/p/all/log"] != "/p/log" || w.links["/p/bin/tool"] != "/r/bin/tool" {
		t.Errorf("%v", w.links)
	}
	w.fails("[a]\nrecipe = cns.recipe.symlink\nsymlink = x\n", "lines are FILE = LINK")
	w.must("[a]\nrecipe = slapos.cookbook:publish\nx = ${u:uuid}\n[u]\nrecipe = slapos.cookbook:uuid\n")
	first := w.published["x"]
	w.must("[a]\nrecipe = slapos.cookbook:publish\nx = ${u:uuid}\n[u]\nrecipe = slapos.cookbook:uuid\n")
	if len(first) != 36 || w.published["x"] != first {
		t.Errorf("drew %s, then %s", first, w.published["x"])
	}
}
