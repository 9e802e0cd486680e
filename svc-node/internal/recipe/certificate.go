package recipe

import (
	"context"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"path"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

var authorityDirectories = []Option{
	{Name: "ca-dir", Required: true, Text: "Directory of the authority."},
	{Name: "requests-directory", Required: true, Text: "Directory of the requests."},
	{Name: "ca-private", Required: true, Text: "Directory of keys."},
	{Name: "ca-certs", Required: true, Text: "Directory of certificates."},
	{Name: "ca-newcerts", Required: true, Text: "Directory of what was signed, by serial number."},
	{Name: "ca-crl", Required: true, Text: "Directory of revocations."},
}

// certificateAuthority is slapos.cookbook:certificate_authority.
func certificateAuthority() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:certificate_authority",
		Summary: "Writes a service that makes a certificate authority of the partition's own, and signs what slapos.cookbook:certificate_authority.request asks for.",
		Options: append(append([]Option(nil), authorityDirectories...),
			Option{Name: "wrapper", Required: true, Text: "Path of the service."},
			Option{Name: "openssl-binary", Required: true, Text: "The openssl to run."},
			Option{Name: "country-code, email, state, city, company", Text: "The authority's subject."},
		),
		Signature: 1,
		Install: func(_ context.Context, w *Work) error {
			dir := w.Get("ca-dir")
			configuration := path.Join(dir, "openssl.cnf")
			content, err := authorityConfiguration(w)
			if err != nil {
				return err
			}
			if err := w.Files.Write(configuration, []byte(content), 0o640); err != nil {
				return w.Error("ca-dir", "%w", err)
			}
			for name, content := range map[string]string{"serial": "01\n", "crlnumber": "01\n", "index.txt": ""} {
				if err := w.Files.CreateOnce(path.Join(dir, name), []byte(content), 0o640); err != nil {
					return w.Error("ca-dir", "%w", err)
				}
			}
			script := strings.NewReplacer(
				"PART", w.Part.Name, "OPENSSL", quoteShell(w.Get("openssl-binary")), "CONFIGURATION", quoteShell(configuration),
				"KEY", quoteShell(path.Join(w.Get("ca-private"), "cakey.pem")), "CERTIFICATE", quoteShell(path.Join(dir, "cacert.pem")),
				"REQUESTS", quoteShell(w.Get("requests-directory")),
			).Replace(authorityScript)
			if err := w.Files.Write(w.Get("wrapper"), []byte(script), 0o700); err != nil {
				return w.Error("wrapper", "%w", err)
			}
			return nil
		},
	}
}

// authorityScript looks for requests for ever. Keys and certificates are made beside and renamed: what waits for them finds
// whole ones.
const authorityScript = `#!/bin/sh
# Written for [PART]; changes here are lost at the next deployment.
umask 077
openssl=OPENSSL configuration=CONFIGURATION key=KEY certificate=CERTIFICATE requests=REQUESTS
field() { sed -n "s/^$2 = //p" "$1"; }
while :; do
  if ! [ -s "$key" ] || ! [ -s "$certificate" ]; then
    echo "Certificate Authority $$-$(date +%s)" | "$openssl" req -utf8 -nodes -config "$configuration" -new -sha256 -x509 -extensions v3_ca \
      -keyout "$key.new" -out "$certificate.new" -days 10950 && mv "$key.new" "$key" && mv "$certificate.new" "$certificate"
  fi
  for request in "$requests"/*; do
    [ -f "$request" ] || continue
    name=$(field "$request" name) k=$(field "$request" key_file) c=$(field "$request" certificate_file)
    [ -n "$k" ] && [ -n "$c" ] || continue
    [ -s "$k" ] && [ -s "$c" ] && continue
    printf '%s\n' "$name" | "$openssl" req -utf8 -nodes -config "$configuration" -new -sha256 -keyout "$k.new" -out "$c.csr" -days 3650 &&
      "$openssl" ca -utf8 -batch -config "$configuration" -out "$c.new" -infiles "$c.csr" && mv "$k.new" "$k" && mv "$c.new" "$c"
    rm -f "$c.csr"
  done
  sleep 1
done
`

func authorityConfiguration(w *Work) (string, error) {
	subject := map[string]string{"country-code": "XX", "email": "xx@example.com", "state": "State", "city": "City", "company": "Company"}
	for option := range subject {
		if text := w.Get(option); text != "" {
			subject[option] = text
		}
		if strings.ContainsAny(subject[option], "\n$\\#") {
			return "", w.Error(option, "cannot use %q in a certificate", subject[option])
		}
	}
	return strings.NewReplacer(
		"@DIR@", w.Get("ca-dir"), "@CERTS@", w.Get("ca-certs"), "@PRIVATE@", w.Get("ca-private"), "@NEWCERTS@", w.Get("ca-newcerts"), "@CRL@", w.Get("ca-crl"),
		"@COUNTRY@", subject["country-code"], "@EMAIL@", subject["email"], "@STATE@", subject["state"], "@CITY@", subject["city"], "@COMPANY@", subject["company"],
	).Replace(authorityTemplate), nil
}

const authorityTemplate = `[ca]
default_ca = CA_default
[CA_default]
dir = @DIR@
certs = @CERTS@
crl_dir = @CRL@
new_certs_dir = @NEWCERTS@
database = @DIR@/index.txt
unique_subject = no
certificate = @DIR@/cacert.pem
serial = @DIR@/serial
crlnumber = @DIR@/crlnumber
crl = @CRL@/crl.pem
private_key = @PRIVATE@/cakey.pem
x509_extensions = usr_cert
default_days = 3650
default_crl_days = 30
default_md = sha256
policy = policy
[policy]
countryName = optional
stateOrProvinceName = optional
localityName = optional
organizationName = optional
commonName = supplied
emailAddress = optional
[req]
default_bits = 2048
distinguished_name = subject
string_mask = utf8only
x509_extensions = v3_ca
[subject]
countryName = Country
countryName_value = @COUNTRY@
stateOrProvinceName = State
stateOrProvinceName_value = @STATE@
localityName = City
localityName_value = @CITY@
organizationName = Company
organizationName_value = @COMPANY@
commonName = Name
emailAddress = Email
emailAddress_value = @EMAIL@
[usr_cert]
basicConstraints = CA:FALSE
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid,issuer
[v3_ca]
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid:always,issuer
basicConstraints = critical,CA:true
`

// certificateRequest is slapos.cookbook:certificate_authority.request.
func certificateRequest() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:certificate_authority.request",
		Summary: "Asks the partition's certificate authority for a key and a certificate, and writes a program that starts once they are there.",
		Options: append(append([]Option(nil), authorityDirectories...),
			Option{Name: "key-file", Required: true, Text: "Link to the key."},
			Option{Name: "cert-file", Required: true, Text: "Link to the certificate."},
			Option{Name: "executable", Text: "What to start once they are there."},
			Option{Name: "wrapper", Text: "Path of the program that waits for them and starts it."},
			Option{Name: "name", Default: "the section's name", Text: "Name in the certificate."},
			Option{Name: "key-content, cert-content", Text: "A key and a certificate that are used instead of asking for some."},
			Option{Name: "openssl-binary", Text: "Accepted: a given key and certificate are checked without it."},
		),
		Signature: 1,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			name := in.Text("name")
			if name == "" {
				name = in.Name()
			}
			return profile.Provided{Options: map[string]profile.Value{"name": profile.Text(name)}}, nil
		},
		Install: requestCertificate,
	}
}

func requestCertificate(_ context.Context, w *Work) error {
	name := w.Get("name")
	if strings.ContainsAny(name, "\n\r") {
		return w.Error("name", "cannot use several lines as a name")
	}
	sum := sha512.Sum512([]byte(name))
	hash := hex.EncodeToString(sum[:])
	key, certificate := path.Join(w.Get("ca-private"), hash+".key"), path.Join(w.Get("ca-certs"), hash+".crt")
	for option, target := range map[string]string{"key-file": key, "cert-file": certificate} {
		if err := w.Files.Link(target, w.Get(option)); err != nil {
			return w.Error(option, "%w", err)
		}
	}
	if given, public := w.Get("key-content"), w.Get("cert-content"); given != "" && public != "" {
		if _, err := tls.X509KeyPair([]byte(public), []byte(given)); err != nil {
			return w.Error("cert-content", "cannot use the certificate with the key: %w", err)
		}
		if err := w.Files.Write(key, []byte(given+"\n"), 0o600); err != nil {
			return w.Error("key-content", "%w", err)
		}
		if err := w.Files.Write(certificate, []byte(public+"\n"), 0o640); err != nil {
			return w.Error("cert-content", "%w", err)
		}
	} else {
		request := "[certificate]\nname = " + name + "\nkey_file = " + key + "\ncertificate_file = " + certificate + "\n"
		if err := w.Files.Write(path.Join(w.Get("requests-directory"), hash), []byte(request), 0o640); err != nil {
			return w.Error("requests-directory", "%w", err)
		}
	}
	if w.Get("wrapper") == "" || w.Get("executable") == "" {
		return nil
	}
	script := "#!/bin/sh\n# Written for [" + w.Part.Name + "]; changes here are lost at the next deployment.\n" +
		"while ! [ -e " + quoteShell(certificate) + " ] || ! [ -e " + quoteShell(key) + " ]; do sleep 0.2; done\nexec " + quoteShell(w.Get("executable")) + " \"$@\"\n"
	if err := w.Files.Write(w.Get("wrapper"), []byte(script), 0o700); err != nil {
		return w.Error("wrapper", "%w", err)
	}
	return nil
}
