package recipe

import (
	"os/exec"
	"strings"
	"testing"
)

// What openssl makes.
func TestPasswordsAreHashedAsCryptDoes(t *testing.T) {
	for _, password := range []string{"Hello world!", "a", "pässwörd", strings.Repeat("0123456789", 13)} {
		want, err := exec.Command("openssl", "passwd", "-6", "-salt", "./ab", "--", password).Output()
		if err != nil {
			t.Fatal(err)
		}
		if got := sha512Crypt(password, "./ab"); got != strings.TrimSpace(string(want)) {
			t.Errorf("%q: got %s, want %s", password, got, want)
		}
	}
}

func TestTheHashOfAPasswordStaysAsLongAsThePassword(t *testing.T) {
	w := newWorld(t)
	const part = "[a]\nrecipe = slapos.cookbook:publish\nhash = ${p:passwd-sha512-crypt}\n[p]\nrecipe = slapos.cookbook:generate.password\npasswd = "
	w.must(part + "one\n")
	first := w.published["hash"]
	salt := strings.Split(first+"$$$", "$")[2]
	if len(salt) != 16 || sha512Crypt("one", salt) != first {
		t.Errorf("the hash is %s", first)
	}
	w.must(part + "one\n")
	if w.published["hash"] != first {
		t.Error("the hash of the same password is another")
	}
	w.must(part + "two\n")
	if w.published["hash"] == first {
		t.Error("another password has the same hash")
	}
}

func TestIntegersAreDrawnFromAnyRange(t *testing.T) {
	w := newWorld(t)
	const part = "[a]\nrecipe = slapos.cookbook:publish\nid = ${i:value}\n[i]\nrecipe = slapos.cookbook:random.integer\n"
	w.must(part + "minimum = 4294967295\nmaximum = 4294967295\n")
	if w.published["id"] != "4294967295" {
		t.Errorf("drew %s", w.published["id"])
	}
	w = newWorld(t)
	for _, c := range [][2]string{
		{"minimum = 2\nmaximum = 1\n", "[i] maximum: cannot draw an integer from 2 to 1"},
		{"minimum = -9223372036854775808\nmaximum = 9223372036854775807\n", "cannot draw an integer"},
		{"minimum = x\nmaximum = 1\n", `[i] minimum: cannot use "x"`},
	} {
		w.fails(part+c[0], c[1])
	}
}
