// Command convdoc writes docs/telemetry.md from the declarations of kit/telemetry/conv, or checks with --check that
// the file is what it would write. In kit:
//
//	go run ./telemetry/conv/cmd/convdoc ../docs/telemetry.md
//
// Its output depends on the declarations only. Nothing imports it.
package main
