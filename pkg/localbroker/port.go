package localbroker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Ports are chosen from [portMin, portEnd): above the well-known services and
// below 32768, where Linux starts to hand out ports for outgoing connections
// (ip_local_port_range), one of which could sit on ours at the next start.
const (
	portMin = 20000
	portEnd = 32768
	// portTries bounds the search; a machine with half of the range in use
	// exhausts it with probability 2^-64.
	portTries = 64
)

// listen opens the broker's socket and, if there is a directory, remembers its
// port there. The caller holds the directory's lock.
func listen(cfg Config) (net.Listener, error) {
	if cfg.Dir == "" {
		return listenOn(cfg.Port)
	}
	file := filepath.Join(cfg.Dir, "port")
	port := cfg.Port
	if port == 0 {
		var err error
		if port, err = rememberedPort(file); err != nil {
			return nil, err
		}
	}
	if port != 0 {
		listener, err := listenOn(port)
		if err != nil && cfg.Port == 0 {
			return nil, fmt.Errorf("the port remembered in %s cannot be used; free it, or delete that file to choose another: %w", file, err)
		}
		if err != nil {
			return nil, err
		}
		return remember(file, listener)
	}
	listener, err := listenOnChosen()
	if err != nil {
		return nil, err
	}
	return remember(file, listener)
}

func listenOn(port int) (net.Listener, error) {
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("open port: %w", err)
	}
	return listener, nil
}

func listenOnChosen() (net.Listener, error) {
	var last error
	for range portTries {
		listener, err := listenOn(portMin + rand.IntN(portEnd-portMin))
		if err == nil {
			return listener, nil
		}
		last = err
	}
	return nil, fmt.Errorf("no free port found in %d-%d: %w", portMin, portEnd-1, last)
}

// rememberedPort is the port in file, or 0 if there is no file.
func rememberedPort(file string) (int, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read remembered port: %w", err)
	}
	port, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("%s does not hold a port; delete it to choose another", file)
	}
	return int(port), nil
}

// remember writes the listener's port by rename, so that a crash leaves the
// old file or the new one. On failure the listener is closed.
func remember(file string, listener net.Listener) (net.Listener, error) {
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err == nil {
		err = os.WriteFile(file+".new", []byte(port+"\n"), 0o600)
	}
	if err == nil {
		err = os.Rename(file+".new", file)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("remember port: %w", err), listener.Close())
	}
	return listener, nil
}
