package builtin

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/vow-os/vow/svc-node/profile/pythontext"
)

// human is how psutil writes an amount of bytes.
func human(bytes float64) string {
	const symbols = "KMGTPEZY"
	for i := len(symbols) - 1; i >= 0; i-- {
		if unit := math.Pow(1024, float64(i+1)); bytes >= unit {
			return fmt.Sprintf("%.1f%c", bytes/unit, symbols[i])
		}
	}
	return fmt.Sprintf("%.1fB", bytes)
}

// pythonClass is the exception that Python raises for an error of the system.
func pythonClass(errno syscall.Errno) string {
	switch errno {
	case syscall.ENOENT:
		return "FileNotFoundError"
	case syscall.EACCES, syscall.EPERM:
		return "PermissionError"
	case syscall.EISDIR:
		return "IsADirectoryError"
	case syscall.ENOTDIR:
		return "NotADirectoryError"
	case syscall.ECONNREFUSED:
		return "ConnectionRefusedError"
	case syscall.ECONNRESET:
		return "ConnectionResetError"
	case syscall.ECONNABORTED:
		return "ConnectionAbortedError"
	case syscall.EPIPE:
		return "BrokenPipeError"
	case syscall.ETIMEDOUT:
		return "TimeoutError"
	case syscall.EINTR:
		return "InterruptedError"
	default:
		return "OSError"
	}
}

// systemError finds the error number in an error and how the system's library words it.
func systemError(err error) (errno syscall.Errno, words string, ok bool) {
	if !errors.As(err, &errno) {
		return 0, "", false
	}
	text := errno.Error()
	r, size := utf8.DecodeRuneInString(text)
	return errno, string(unicode.ToUpper(r)) + text[size:], true
}

// fileError is how Python's str writes an error of opening a file.
func fileError(err error, path string) string {
	if errno, words, ok := systemError(err); ok {
		return fmt.Sprintf("[Errno %d] %s: %s", int(errno), words, pythontext.Quote(path))
	}
	return plain(err)
}

// fileErrorRepr is how Python's repr writes it.
func fileErrorRepr(err error) string {
	if errno, words, ok := systemError(err); ok {
		return fmt.Sprintf("%s(%d, %s)", pythonClass(errno), int(errno), pythontext.Quote(words))
	}
	return plain(err)
}

// plain is an error without the call that met it.
func plain(err error) string {
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return path.Err.Error()
	}
	return err.Error()
}

// isCertificateError tells errors of TLS from those of the connection.
func isCertificateError(err error) bool {
	for _, match := range []func() bool{
		func() bool { _, ok := errors.AsType[x509.UnknownAuthorityError](err); return ok },
		func() bool { _, ok := errors.AsType[x509.HostnameError](err); return ok },
		func() bool { _, ok := errors.AsType[x509.CertificateInvalidError](err); return ok },
	} {
		if match() {
			return true
		}
	}
	return false
}
