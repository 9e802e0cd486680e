// Command convdash writes the dashboards of tilt/observability from the declarations of kit/telemetry/conv, or checks with --check
// that they are what it would write. In kit:
//
//	go run ./telemetry/conv/cmd/convdash ../tilt/observability/grafana/dashboards
//
//	board.go     what a dashboard is made of, as Grafana reads it
//	panel.go     panels of a few kinds, and how a metric is called at Prometheus
//	boards.go    the dashboards: fleet, one tree, one convergence, control plane
//
// Its output depends on the declarations only. Nothing imports it.
package main
