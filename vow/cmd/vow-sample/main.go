// Command vow-sample is the software of the sample release alone, a tenth of vow's size: what the image of svc-node has instead of vow.
package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/vow-os/vow/vow/internal/sample"
)

// version is stamped by the build.
var version = "0.1.0-dev"

func main() {
	root := &cobra.Command{Use: "vow-sample", Short: "The software of the sample release", Version: version, SilenceUsage: true, SilenceErrors: true}
	root.AddCommand(sample.Command(cobra.NoArgs))
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "vow-sample:", err)
		os.Exit(1)
	}
}
