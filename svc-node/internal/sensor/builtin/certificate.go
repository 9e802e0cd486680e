package builtin

import (
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"path/filepath"
	"strconv"
	"time"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// maxPEM is how much of a certificate or key is read in bytes: a chain of a hundred.
const maxPEM = 1 << 20

// certificate is check_certificate.
func certificate() Sensor {
	return Sensor{
		Name:    "check_certificate",
		Summary: "Fails when a certificate cannot be read, ends soon, or does not belong to its key.",
		Example: `{"certificate": "etc/ssl/server.crt", "key": "etc/ssl/server.key", "certificate-expiration-days": 30}`,
		Options: []Option{
			{Name: "certificate", Required: true, Text: "Path of the certificate in PEM; the first one in the file counts. Read as the partition's user."},
			{Name: "key", Text: "Path of its private key in PEM, not encrypted; may be the same file. Without it only the certificate is looked at."},
			{Name: "certificate-expiration-days", Default: "15", Text: "Days that must be left."},
		},
		Period:  usual,
		Windows: "test 1 of 1; anomaly 1 of 1, bangs",
		prepare: func(c *Config) Check {
			file, key, days := c.Text("certificate", ""), c.Text("key", ""), c.Text("certificate-expiration-days", "15")
			return Check{sense: func(_ context.Context, s *Sensing) { s.certificate(file, key, days, time.Now()) }}
		},
	}
}

func (s *Sensing) certificate(file, key, days string, now time.Time) {
	n, err := strconv.Atoi(days)
	if err != nil {
		s.error("ERROR certificate-expiration-days is wrong: %s", pythontext.Quote(days))
		return
	}
	read := func(path string) (content []byte, err error) {
		if !filepath.IsAbs(path) {
			path = filepath.Join(s.Directory, path)
		}
		err = s.asUser(func() (err error) { content, err = readHead(path, maxPEM); return err })
		return content, err
	}
	content, err := read(file)
	var parsed *x509.Certificate
	if err == nil {
		parsed, err = firstCertificate(content)
	}
	if err != nil {
		s.error("ERROR Problem loading certificate %s, error: %s", pythontext.Quote(file), fileError(err, file))
		return
	}
	left := parsed.NotAfter.Sub(now)
	s.value(left.Hours() / 24)
	if left < time.Duration(n)*24*time.Hour {
		s.error("ERROR Certificate %s will expire in less than %d days", pythontext.Quote(file), n)
		return
	}
	if key == "" {
		s.info("OK Certificate %s is ok, no key provided", pythontext.Quote(file))
		return
	}
	content, err = read(key)
	var public crypto.PublicKey
	if err == nil {
		public, err = publicOf(content)
	}
	if err != nil {
		s.error("ERROR Problem loading key %s, error: %s", pythontext.Quote(key), fileError(err, key))
		return
	}
	if own, ok := parsed.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !own.Equal(public) {
		s.error("ERROR Certificate %s does not match key %s", pythontext.Quote(file), pythontext.Quote(key))
		return
	}
	s.info("OK Certificate %s and key %s are ok", pythontext.Quote(file), pythontext.Quote(key))
}

func firstCertificate(content []byte) (*x509.Certificate, error) {
	for {
		var block *pem.Block
		block, content = pem.Decode(content)
		switch {
		case block == nil:
			return nil, errors.New("Invalid PEM encoding") //nolint:staticcheck // the original's words
		case block.Type == "CERTIFICATE":
			return x509.ParseCertificate(block.Bytes)
		}
	}
}

// publicOf is the public key of the first private one.
func publicOf(content []byte) (crypto.PublicKey, error) {
	for {
		var block *pem.Block
		block, content = pem.Decode(content)
		if block == nil {
			return nil, errors.New("no private key in PEM")
		}
		var key any
		var err error
		switch block.Type {
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted")
		default:
			continue
		}
		if err != nil {
			return nil, err
		}
		if private, ok := key.(crypto.Signer); ok {
			return private.Public(), nil
		}
		return nil, errors.New("a private key of an unknown kind")
	}
}
