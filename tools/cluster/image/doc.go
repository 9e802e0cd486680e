// Package image makes container images from static executables: a layer on nothing, a configuration, no daemon, no registry. The same inputs make the same bytes.
//
// Invariants: nobody in an image is root, there is no shell in it but in svc-node's, and nothing in it is writable by its user but /tmp and /var/lib/vow, which Kubernetes mounts over.
// Only commands and tests of this module import it.
package image
