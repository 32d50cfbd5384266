package service

import "golang.org/x/sys/unix"

// kernelSynced asks the kernel whether a time source disciplines the clock.
func kernelSynced() bool {
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	return err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0
}
