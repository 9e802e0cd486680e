package recipe

import (
	"context"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

const passwordLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

// generatePassword is slapos.cookbook:generate.password.
func generatePassword() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:generate.password",
		Aliases: []string{"slapos.cookbook:random.password"},
		Summary: "Makes a password once and keeps it in a file that only the partition's user can read.",
		Options: []Option{
			{Name: "storage-path", Default: "${buildout:parts-directory}/SECTION", Text: "File that keeps the password; set but empty, the password is kept by what publishes it."},
			{Name: "bytes", Default: "16", Text: "Length, 1 to 1024 characters."},
			{Name: "create-once", Default: "true", Text: "false: the file follows the option passwd when that changes."},
			{Name: "passwd", Text: "The password, when it comes from elsewhere."},
		},
		Provides: []Option{
			{Name: "passwd", Text: "The password. It is not kept in the record of what is installed."},
			{Name: "passwd-sha512-crypt", Text: "Its hash as crypt(3) makes it, $6$; it stays as long as the password does."},
		},
		Signature: 1,
		Provide:   providePassword,
		Install: func(_ context.Context, w *Work) error {
			storage, secret := w.Get("storage-path"), w.Part.Options["passwd"].String()
			if storage == "" {
				return nil
			}
			write := w.Files.CreateOnce
			if once := w.Get("create-once"); once != "" && !isTrue(once) {
				write = w.Files.Write
			}
			if err := write(storage, []byte(secret), 0o600); err != nil {
				return w.Error("storage-path", "%w", err)
			}
			return nil
		},
		Update: func(_ context.Context, w *Work) error {
			if storage := w.Get("storage-path"); storage != "" && !w.Files.Exists(storage) {
				if err := w.Files.CreateOnce(storage, []byte(w.Part.Options["passwd"].String()), 0o600); err != nil {
					return w.Error("storage-path", "%w", err)
				}
			}
			return nil
		},
	}
}

func providePassword(_ context.Context, in *Init) (profile.Provided, error) {
	provided := profile.Provided{Options: map[string]profile.Value{}, Volatile: []string{"passwd", hashedPassword}}
	value, written := in.Get("storage-path")
	storage := strings.TrimSpace(value.String())
	if !written {
		parts, err := in.Lookup("buildout", "parts-directory", "storage-path")
		if err != nil {
			return provided, err
		}
		storage = path.Join(parts.String(), in.Name())
		provided.Options["storage-path"] = profile.Text(storage)
	}
	secret := in.Text("passwd")
	if secret == "" && storage != "" {
		if content, err := in.Files.Read(storage); err == nil {
			secret = strings.Trim(string(content), "\n")
		} else if in.Files.Exists(storage) {
			return provided, in.Error("storage-path", "cannot read the password: %w", err)
		}
	}
	if secret == "" {
		length := 16
		if text := in.Text("bytes"); text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 || n > 1024 {
				return provided, in.Error("bytes", "cannot make a password of %q characters, 1 to 1024 are", text)
			}
			length = n
		}
		var err error
		if secret, err = randomText(in.World.Random(), length, passwordLetters); err != nil {
			return provided, in.Error("passwd", "cannot make a password: %w", err)
		}
	}
	provided.Options["passwd"] = profile.Text(secret)
	hash, err := hashPassword(in, secret)
	if err != nil {
		return provided, in.Error("passwd", "cannot hash the password: %w", err)
	}
	provided.Options[hashedPassword] = profile.Text(hash)
	return provided, nil
}

// hashedPassword is an option that some profiles configure servers with.
const hashedPassword = "passwd-sha512-crypt"

// hashPassword remembers the hash, so that it is the same in each run and takes its milliseconds once.
func hashPassword(in *Init, secret string) (string, error) {
	of := profile.Text(secret).Fingerprint()
	if in.Memory["hash-of"] == of {
		return in.Memory[hashedPassword], nil
	}
	salt, err := randomText(in.World.Random(), 16, cryptLetters)
	if err != nil {
		return "", err
	}
	hash := sha512Crypt(secret, salt)
	in.Memory["hash-of"], in.Memory[hashedPassword] = of, hash
	return hash, nil
}

// randomText draws letters evenly: bytes beyond the last whole multiple of the alphabet are thrown away.
func randomText(random io.Reader, length int, letters string) (string, error) {
	out := make([]byte, 0, length)
	buffer := make([]byte, 64)
	limit := byte(256 / len(letters) * len(letters) % 256)
	for len(out) < length {
		if _, err := io.ReadFull(random, buffer); err != nil {
			return "", fmt.Errorf("cannot read randomness: %w", err)
		}
		for _, b := range buffer {
			if len(out) < length && (limit == 0 || b < limit) {
				out = append(out, letters[int(b)%len(letters)])
			}
		}
	}
	return string(out), nil
}
