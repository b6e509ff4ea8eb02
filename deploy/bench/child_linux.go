package bench

import "syscall"

// childAttributes puts a child into its own process group (Ctrl-C is for the bench, which ends its children in order) and has the
// kernel end it when the bench dies.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
