//go:build unix && !linux

package localdb

import "syscall"

// childAttributes asks for an own process group. There is no parent-death
// signal outside Linux: a killed owner leaves its database running, which the
// next Start on the directory refuses because the lock is still held.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
