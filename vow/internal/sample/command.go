package sample

import (
	"net"
	"strconv"

	"github.com/spf13/cobra"
)

// Command is the software of examples/hello and examples/frontend as profiles call it: `vow sample …`, or `vow-sample sample …` where the whole of vow is too much.
func Command(noArguments cobra.PositionalArgs) *cobra.Command {
	group := &cobra.Command{Use: "sample", Hidden: true, Short: "The software of the sample release"}
	var service Service
	serve := &cobra.Command{
		Use: "serve", Short: "Serve HTTP on a loopback address until SIGTERM", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return Serve(c.Context(), service) },
	}
	serve.Flags().StringVar(&service.Name, "name", "sample", "what it answers with")
	serve.Flags().StringVar(&service.Address, "address", "127.0.0.1", "loopback IP `address`")
	serve.Flags().IntVar(&service.Port, "port", 0, "TCP `port`")
	serve.Flags().StringArrayVar(&service.Backends, "backend", nil, "base `URL` of a service that it needs; may be repeated")
	address, port := "127.0.0.1", 0
	check := &cobra.Command{
		Use: "check", Short: "Ask a service once; fail with the reason when it does not answer 200", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return Check(c.Context(), "http://"+net.JoinHostPort(address, strconv.Itoa(port))+"/")
		},
	}
	check.Flags().StringVar(&address, "address", address, "IP `address` of the service")
	check.Flags().IntVar(&port, "port", port, "TCP `port` of the service")
	leads := Front{Address: "127.0.0.1"}
	front := &cobra.Command{
		Use: "front", Short: "Lead HTTP requests on a loopback address to other services until SIGTERM", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return ServeFront(c.Context(), leads) },
	}
	front.Flags().StringVar(&leads.Address, "address", leads.Address, "loopback IP `address`")
	front.Flags().IntVar(&leads.Port, "port", 0, "TCP `port`")
	front.Flags().StringVar(&leads.Routes, "routes", "", "JSON `file`: first part of a path, URL that it leads to")
	group.AddCommand(serve, front, check)
	return group
}
