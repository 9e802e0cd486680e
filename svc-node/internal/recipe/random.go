package recipe

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/vow-os/vow/svc-node/profile"
)

// remembered makes a recipe that draws a value once and keeps it.
func remembered(name, summary, option string, options []Option, draw func(in *Init) (string, error)) *Recipe {
	return &Recipe{
		Name: name, Summary: summary, Options: options, Signature: 1,
		Provides: []Option{{Name: option, Text: "The value; it stays as long as the part is in the profile."}},
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			if given := in.Text(option); given != "" {
				return profile.Provided{}, nil
			}
			if in.Memory[option] == "" {
				value, err := draw(in)
				if err != nil {
					return profile.Provided{}, err
				}
				in.Memory[option] = value
			}
			return profile.Provided{Options: map[string]profile.Value{option: profile.Text(in.Memory[option])}}, nil
		},
	}
}

// randomInteger is slapos.cookbook:random.integer.
func randomInteger() *Recipe {
	return remembered("slapos.cookbook:random.integer", "Draws an integer once.", "value", []Option{
		{Name: "minimum", Required: true, Text: "Lowest value."},
		{Name: "maximum", Required: true, Text: "Highest value."},
		{Name: "value", Text: "The value, when it comes from elsewhere."},
	}, func(in *Init) (string, error) {
		var bounds [2]int64
		for i, option := range []string{"minimum", "maximum"} {
			n, err := strconv.ParseInt(in.Text(option), 10, 64)
			if err != nil {
				return "", in.Error(option, "cannot use %q: an integer is wanted", in.Text(option))
			}
			bounds[i] = n
		}
		low, high := bounds[0], bounds[1]
		if high < low || uint64(high-low) >= math.MaxInt64 {
			return "", in.Error("maximum", "cannot draw an integer from %d to %d", low, high)
		}
		n, err := draw(in, uint64(high-low)+1)
		return strconv.FormatInt(low+int64(n), 10), err
	})
}

// randomTime is slapos.cookbook:random.time.
func randomTime() *Recipe {
	return remembered("slapos.cookbook:random.time", "Draws a time of the day once, H:MM, so that nightly jobs of many instances spread.", "time", []Option{
		{Name: "time", Text: "The time, when it comes from elsewhere."},
	}, func(in *Init) (string, error) {
		minute, err := draw(in, 24*60)
		return fmt.Sprintf("%d:%02d", minute/60, minute%60), err
	})
}

// randomMAC is slapos.cookbook:random.mac.
func randomMAC() *Recipe {
	r := remembered("slapos.cookbook:random.mac", "Draws a locally administered network address once.", "mac-address", []Option{
		{Name: "storage-path", Required: true, Text: "File that keeps the address."},
		{Name: "mac-address", Text: "The address, when it comes from elsewhere."},
	}, func(in *Init) (string, error) {
		if content, err := in.Files.Read(in.Text("storage-path")); err == nil && len(content) > 0 {
			return strings.TrimSpace(string(content)), nil
		}
		var octets [6]byte
		if _, err := io.ReadFull(in.World.Random(), octets[1:]); err != nil {
			return "", in.Error("mac-address", "cannot read randomness: %w", err)
		}
		octets[0] = 0xfe
		return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", octets[0], octets[1], octets[2], octets[3], octets[4], octets[5]), nil
	})
	r.Install = func(_ context.Context, w *Work) error {
		if err := w.Files.CreateOnce(w.Get("storage-path"), []byte(w.Get("mac-address")), 0o640); err != nil {
			return w.Error("storage-path", "%w", err)
		}
		return nil
	}
	return r
}

// draw draws evenly from [0, n); the bias of the remainder is below one in 2^30 for the ranges used.
func draw(in *Init, n uint64) (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(in.World.Random(), b[:]); err != nil {
		return 0, in.Error("recipe", "cannot read randomness: %w", err)
	}
	return binary.LittleEndian.Uint64(b[:]) % n, nil
}

// uuid is slapos.cookbook:uuid.
func uuid() *Recipe {
	return &Recipe{
		Name:      "slapos.cookbook:uuid",
		Summary:   "Draws a UUID once and keeps it.",
		Provides:  []Option{{Name: "uuid", Text: "The UUID."}},
		Signature: 1,
		Provide: func(_ context.Context, in *Init) (profile.Provided, error) {
			if in.Memory["uuid"] == "" {
				var b [16]byte
				if _, err := io.ReadFull(in.World.Random(), b[:]); err != nil {
					return profile.Provided{}, in.Error("recipe", "cannot draw a UUID: %w", err)
				}
				b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
				in.Memory["uuid"] = fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
			}
			return profile.Provided{Options: map[string]profile.Value{"uuid": profile.Text(in.Memory["uuid"])}}, nil
		},
	}
}
