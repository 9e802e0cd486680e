package recipe

import "testing"

const header = "#!/bin/sh\n# Written for [a]; changes here are lost at the next deployment.\n"

func TestCronAndItsEntries(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:cron.d\ncron-entries = /p/cron.d\nname = job\nfrequency = 0 3 * * *\ncommand = /p/bin/job --all\n")
	w.wants("/p/cron.d/job", "0 3 * * * /p/bin/job --all\n", 0o640)
	w.must("[a]\nrecipe = slapos.cookbook:cron.d\ncron-entries = /p/cron.d\nperiodicity = daily\ncommand = x\n")
	w.wants("/p/cron.d/a", "@daily x\n", 0o640)
	w.fails("[a]\nrecipe = slapos.cookbook:cron.d\ncron-entries = /p/cron.d\nfrequency = often\ncommand = x\n", "[a] frequency: cannot use \"often\"")
	w.must("[a]\nrecipe = slapos.cookbook:cron\nbinary = /p/etc/service/crond\ndcrond-binary = /r/crond\ncron-entries = /p/d\ncrontabs = /p/t\ncronstamps = /p/s\ncatcher = /p/c\n")
	w.wants("/p/etc/service/crond", header+"exec /r/crond -s /p/d -c /p/t -t /p/s -f -l 5 -M /p/c \"$@\"\n", 0o700)
}

func TestSmallPrograms(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:simplelogger\nwrapper = /p/log\nlog = /p/var/the log\n")
	w.wants("/p/log", header+"exec cat >> '/p/var/the log'\n", 0o700)
	w.must("[a]\nrecipe = slapos.cookbook:simplehttpserver\nwrapper = /p/h\nhost = ::1\nport = 80\nbase-path = /p/www\n")
	w.wants("/p/h", header+"exec python3 -m http.server --bind ::1 --directory /p/www 80 \"$@\"\n", 0o700)
	w.must("[a]\nrecipe = slapos.cookbook:shell\nwrapper = /p/s\nshell = /bin/bash\nhome = /p\npath =\n  /a\n  /b\n")
	w.wants("/p/s", header+"exec env HOME=/p PATH=/a:/b /bin/bash \"$@\"\n", 0o700)
}

func TestURLsAreTakenApart(t *testing.T) {
	w := newWorld(t)
	w.must("[a]\nrecipe = slapos.cookbook:publish\nall = ${u:scheme} ${u:username} ${u:password} ${u:host} ${u:port} ${u:path} ${u:query} ${u:fragment}\n[u]\nrecipe = slapos.cookbook:urlparse\nurl = https://me:pw@[::1]:8080/a/b?c=d#e\n")
	if want := "https me pw ::1 8080 /a/b c=d e"; w.published["all"] != want {
		t.Errorf("got %s, want %s", w.published["all"], want)
	}
}

func TestFilesAreCopiedAndChecked(t *testing.T) {
	w := newWorld(t)
	w.files["/r/x"] = file{content: "hello"}
	w.must("[a]\nrecipe = slapos.recipe.build:download\nurl = /r/x\nmd5sum = 5d41402abc4b2a76b9719d911017c592\n")
	w.wants("/p/parts/a/x", "hello", 0o640)
	w.fails("[a]\nrecipe = slapos.recipe.build:download\nurl = /r/x\nmd5sum = 0\n", "its checksum is 5d41402abc4b2a76b9719d911017c592")
	w.fails("[a]\nrecipe = slapos.recipe.build:download\nurl = http://x/y\n", "cannot download http://x/y while deploying an instance")
	w.must("[a]\nrecipe = slapos.cookbook:copyfilelist\nfile-list = /r/x\ntarget-directory = /p/c\nmode = 600\n")
	w.wants("/p/c/x", "hello", 0o600)
}
