//go:build !linux

package bench

import "syscall"

// childAttributes puts a child into its own process group: Ctrl-C is for the bench, which ends its children in order.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
