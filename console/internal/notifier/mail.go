package notifier

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"strings"
	"time"

	"github.com/vow-os/vow/console/notify"
	"github.com/vow-os/vow/kit/human"
)

// mailbox takes mail by way of a server.
type mailbox struct {
	Name         string   `json:"name"`
	Server       string   `json:"server"`
	From         string   `json:"from"`
	To           []string `json:"to"`
	Username     string   `json:"username"`
	PasswordFile string   `json:"password_file"`
	// TLS is starttls, also if empty, or none.
	TLS string `json:"tls"`
	// roots are for tests; those of the machine if nil.
	roots *tls.Config
}

func (m mailbox) send(ctx context.Context, message notify.Message, now time.Time) error {
	err := m.deliver(ctx, message, now)
	var answer *textproto.Error
	if errors.As(err, &answer) && answer.Code/100 == 5 {
		return refusedError{err}
	}
	return err
}

func (m mailbox) deliver(ctx context.Context, message notify.Message, now time.Time) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return fmt.Errorf("cannot reach the server: %w", err)
	}
	defer connection.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := connection.SetDeadline(deadline); err != nil {
			return err
		}
	}
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return err
	}
	client, err := smtp.NewClient(connection, host)
	if err != nil {
		return fmt.Errorf("cannot talk to the server: %w", err)
	}
	if m.TLS != "none" {
		config := &tls.Config{MinVersion: tls.VersionTLS12}
		if m.roots != nil {
			config = m.roots.Clone()
		}
		config.ServerName = host
		if err := client.StartTLS(config); err != nil {
			return fmt.Errorf("cannot start TLS: %w", err)
		}
	}
	if m.Username != "" {
		password, err := secret(m.PasswordFile)
		if err != nil {
			return fmt.Errorf("cannot read the password: %w", err)
		}
		if err := client.Auth(smtp.PlainAuth("", m.Username, password, host)); err != nil {
			return fmt.Errorf("cannot log in: %w", err)
		}
	}
	from, err := mail.ParseAddress(m.From)
	if err != nil {
		return err
	}
	if err := client.Mail(from.Address); err != nil {
		return fmt.Errorf("the sender is refused: %w", err)
	}
	for _, one := range m.To {
		to, err := mail.ParseAddress(one)
		if err != nil {
			return err
		}
		if err := client.Rcpt(to.Address); err != nil {
			return fmt.Errorf("an addressee is refused: %w", err)
		}
	}
	writer, err := client.Data()
	if err != nil {
		return fmt.Errorf("the mail is refused: %w", err)
	}
	if _, err := writer.Write(m.text(message, from, now)); err != nil {
		return fmt.Errorf("cannot send the mail: %w", err)
	}
	if err := writer.Close(); err != nil {
		return fmt.Errorf("the mail is refused: %w", err)
	}
	_ = client.Quit() // it has the mail
	return nil
}

// text is the mail as it goes over the line.
func (m mailbox) text(message notify.Message, from *mail.Address, now time.Time) []byte {
	var to []string
	for _, one := range m.To {
		if a, err := mail.ParseAddress(one); err == nil { // checked when the file was read
			to = append(to, a.String())
		}
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	var out bytes.Buffer
	for _, header := range [][2]string{
		{"From", from.String()},
		{"To", strings.Join(to, ", ")},
		{"Subject", mime.QEncoding.Encode("utf-8", "[vow] "+human.OneLine(message.Text, 120))},
		{"Date", now.Format(time.RFC1123Z)},
		{"Message-ID", "<" + message.ID + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		out.WriteString(header[0] + ": " + header[1] + "\r\n")
	}
	out.WriteString("\r\n")
	body := quotedprintable.NewWriter(&out)
	for _, item := range message.Items {
		fmt.Fprintf(body, "%s\r\n  since %s\r\n", human.OneLine(item.String(), 1000), item.Since.UTC().Format(time.RFC3339))
		if item.Link != "" {
			fmt.Fprintf(body, "  %s\r\n", item.Link)
		}
	}
	if message.More > 0 {
		fmt.Fprintf(body, "and %d more\r\n", message.More)
	}
	_ = body.Close() // a buffer takes all
	return out.Bytes()
}
