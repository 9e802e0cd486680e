package builtin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"testing"
	"time"
)

// pair makes a certificate for 127.0.0.1 that signs itself, and its key, in PEM.
func pair(t *testing.T, days float64) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Duration(days * 24 * float64(time.Hour))), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

func TestACertificateIsReadableLivesLongEnoughAndHasItsKey(t *testing.T) {
	p := place(t)
	long, longKey := pair(t, 30)
	short, shortKey := pair(t, 14)
	c, k, s, sk := file(t, p, "c", long), file(t, p, "k", longKey), file(t, p, "s", short), file(t, p, "sk", shortKey)
	both, bad := file(t, p, "both", longKey+long), file(t, p, "bad", "no PEM")
	for _, one := range []struct {
		config map[string]string
		want   string
	}{
		{map[string]string{"certificate": c, "key": k}, "INFO OK Certificate '" + c + "' and key '" + k + "' are ok"},
		{map[string]string{"certificate": both, "key": both}, "INFO OK Certificate '" + both + "' and key '" + both + "' are ok"},
		{map[string]string{"certificate": c}, "INFO OK Certificate '" + c + "' is ok, no key provided"},
		{map[string]string{"certificate": c, "key": sk}, "ERROR ERROR Certificate '" + c + "' does not match key '" + sk + "'"},
		{map[string]string{"certificate": s, "key": sk}, "ERROR ERROR Certificate '" + s + "' will expire in less than 15 days"},
		{map[string]string{"certificate": s, "key": sk, "certificate-expiration-days": "10"}, "INFO OK Certificate '" + s + "' and key '" + sk + "' are ok"},
		{map[string]string{"certificate": c, "certificate-expiration-days": "bad"}, "ERROR ERROR certificate-expiration-days is wrong: 'bad'"},
		{map[string]string{"certificate": "/none", "key": k}, "ERROR ERROR Problem loading certificate '/none', error: [Errno 2] No such file or directory: '/none'"},
		{map[string]string{"certificate": c, "key": "/none"}, "ERROR ERROR Problem loading key '/none', error: [Errno 2] No such file or directory: '/none'"},
		{map[string]string{"certificate": bad}, "ERROR ERROR Problem loading certificate '" + bad + "', error: Invalid PEM encoding"},
	} {
		expect(t, sense(t, p, check(t, "check_certificate", one.config)), one.want)
	}
	windows(t, check(t, "check_certificate", map[string]string{"certificate": "x"}), Rule{}, Rule{}, true)
}
