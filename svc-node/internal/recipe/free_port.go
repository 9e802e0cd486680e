package recipe

import (
	"context"
	"strconv"

	"github.com/vow-os/vow/svc-node/profile"
)

// freePort is slapos.cookbook:free_port.
func freePort() *Recipe {
	return &Recipe{
		Name:    "slapos.cookbook:free_port",
		Summary: "Finds a TCP port that nothing listens on and no other part of the computer was given; the part keeps it as long as its options stay.",
		Options: []Option{
			{Name: "ip", Default: "127.0.0.1", Text: "Address the port is wanted at."},
			{Name: "minimum", Default: "1024", Text: "Lowest port."},
			{Name: "maximum", Default: "49151", Text: "Highest port."},
		},
		Provides:  []Option{{Name: "port", Text: "The port."}},
		Signature: 1,
		Provide: func(ctx context.Context, in *Init) (profile.Provided, error) {
			address := in.Text("ip")
			if address == "" {
				address = "127.0.0.1"
			}
			low, err := number(in, "minimum", 1024, 1, 65535)
			if err != nil {
				return profile.Provided{}, err
			}
			high, err := number(in, "maximum", 49151, low, 65535)
			if err != nil {
				return profile.Provided{}, err
			}
			wanted := address + " " + strconv.Itoa(low) + " " + strconv.Itoa(high)
			want := Port{Part: in.Part, Address: address, Low: low, High: high, Peek: in.Peek}
			if in.Memory["for"] == wanted {
				want.Kept, _ = strconv.Atoi(in.Memory["port"]) // 0 = none
			}
			port, err := in.World.FreePort(ctx, want)
			if err != nil {
				return profile.Provided{}, in.Error("ip", "cannot find a free port at %s: %w", address, err)
			}
			in.Memory["for"], in.Memory["port"] = wanted, strconv.Itoa(port)
			return profile.Provided{Options: map[string]profile.Value{"port": profile.Text(in.Memory["port"])}}, nil
		},
	}
}

// number reads an option as an integer between bounds.
func number(in *Init, option string, otherwise, low, high int) (int, error) {
	text := in.Text(option)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, in.Error(option, "cannot use %q: an integer from %d to %d is wanted", text, low, high)
	}
	return n, nil
}
