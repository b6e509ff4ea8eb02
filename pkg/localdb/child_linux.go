package localdb

import "syscall"

// childAttributes asks for an own process group and a death signal; see startChild.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
