package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"
)

// changeAddress adds an address to an interface, or removes it, by one message to the kernel: a host address (/32, /128),
// as slapformat does. What is there already, or gone, is fine.
func changeAddress(name string, address netip.Addr, add bool) error {
	device, err := net.InterfaceByName(name)
	if err != nil {
		return fmt.Errorf("no interface %s: %w", name, err)
	}
	kind, flags, family := uint16(unix.RTM_DELADDR), uint16(unix.NLM_F_REQUEST|unix.NLM_F_ACK), byte(unix.AF_INET)
	if add {
		kind, flags = unix.RTM_NEWADDR, flags|unix.NLM_F_CREATE|unix.NLM_F_EXCL
	}
	var options byte
	if address.Is6() {
		family, options = unix.AF_INET6, unix.IFA_F_NODAD // usable at once: nobody else has it
	}
	raw := address.AsSlice()
	order := binary.NativeEndian
	body := []byte{family, byte(address.BitLen()), options, unix.RT_SCOPE_UNIVERSE}
	body = order.AppendUint32(body, uint32(device.Index)) //nolint:gosec // the kernel's own number
	for _, attribute := range []uint16{unix.IFA_LOCAL, unix.IFA_ADDRESS} {
		body = order.AppendUint16(body, uint16(unix.SizeofRtAttr+len(raw))) //nolint:gosec // 8 or 20
		body = order.AppendUint16(body, attribute)
		body = append(body, raw...)
	}
	message := order.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body))) //nolint:gosec // below 100
	message = order.AppendUint16(message, kind)
	message = order.AppendUint16(message, flags)
	message = order.AppendUint32(message, 1) // sequence
	message = order.AppendUint32(message, 0) // sender: the kernel knows
	errno, err := netlink(append(message, body...))
	switch {
	case err != nil:
		return err
	case add && errors.Is(errno, unix.EEXIST), !add && errors.Is(errno, unix.EADDRNOTAVAIL):
		return nil
	case errno != 0:
		return errno
	}
	return nil
}

// netlink sends one message and returns the kernel's answer to it.
func netlink(message []byte) (unix.Errno, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return 0, fmt.Errorf("cannot talk to the kernel about addresses: %w", err)
	}
	defer unix.Close(socket) //nolint:errcheck // nothing is left in it
	if err := unix.Sendto(socket, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("cannot talk to the kernel about addresses: %w", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(socket, answer, 0)
	if err != nil {
		return 0, fmt.Errorf("cannot hear from the kernel about addresses: %w", err)
	}
	const least = unix.SizeofNlMsghdr + 4 // an error's number
	if n < least || binary.NativeEndian.Uint16(answer[4:]) != unix.NLMSG_ERROR {
		return 0, errors.New("cannot understand the kernel's answer about an address")
	}
	return unix.Errno(-int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:]))), nil //nolint:gosec // the kernel's error, 0 = none
}
