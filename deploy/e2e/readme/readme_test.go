// Package readme proves that the commands of the README can be copied: it runs them, as they stand there, against a development
// stack.
package readme

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creditpay/creditpay/deploy/devstack"
	"github.com/creditpay/creditpay/pkg/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

const root = "../../.."

// block gives the README's lines between "```sh readme-check" and "```".
func block(t *testing.T) (script, readme string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```sh readme-check\n")
	if !ok {
		t.Fatal("the README has no block marked readme-check")
	}
	script, _, ok = strings.Cut(rest, "\n```")
	if !ok {
		t.Fatal("the README's block does not end")
	}
	return script, string(text)
}

// freeAddr gives an address from this port on that nobody listens on, below the range that outgoing connections take.
func freeAddr(t *testing.T, from int) string {
	t.Helper()
	for port := from + os.Getpid()%4000; port < 32000; port++ {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			addr := l.Addr().String()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

// grpcurl is installed by the very command that the README gives.
func grpcurl(t *testing.T, readme string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	i := strings.Index(readme, "go install github.com/fullstorydev/grpcurl/")
	if i < 0 {
		t.Fatal("the README does not say how to get grpcurl")
	}
	command, _, _ := strings.Cut(readme[i:], "`")
	install := exec.CommandContext(t.Context(), "bash", "-c", command)
	install.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=", "GOWORK=off")
	install.Dir = dir
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	return dir
}

// lines takes what the stack prints while the test reads it.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func TestTheReadmesCommandsWorkAsTheyStandThere(t *testing.T) {
	script, readme := block(t)
	tools := grpcurl(t, readme)
	state, err := os.MkdirTemp("", "readme")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(state) })
	config := devstack.Config{StateDir: state, HTTPAddr: freeAddr(t, 20000), LogLevel: "warn", CallerRate: 50, Purchase: true}
	config.GRPCAddr = freeAddr(t, 25000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var printed lines
	stack, err := devstack.New(ctx, config, &printed)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- stack.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ran; err != nil {
			t.Errorf("the stack ended with %v", err)
		}
	})
	testkit.Eventually(t, 20*time.Second, func() error { return dial(config.GRPCAddr) })
	// make run has walked its scripted purchase before anybody types: the demo user has signed.
	testkit.Eventually(t, 60*time.Second, func() error {
		if !strings.Contains(printed.String(), "Credit Pay is running") {
			return errors.New("the scripted purchase is not over")
		}
		return nil
	})

	shell := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", script)
	shell.Dir = root
	shell.Env = append(os.Environ(), "PATH="+tools+string(os.PathListSeparator)+os.Getenv("PATH"), "CREDITPAY_STATE_DIR="+state,
		"CREDITPAY_HTTP_ADDR="+config.HTTPAddr, "CREDITPAY_GRPC_ADDR="+config.GRPCAddr)
	out, err := shell.CombinedOutput()
	if err != nil {
		t.Fatalf("the README's commands fail: %v\n%s", err, out)
	}
	for _, want := range []string{`"ORDER_STATE_CONFIRMED"`, `"PAYMENT_STATE_SUCCEEDED"`, "timeline", "0 findings"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the output lacks %s:\n%s", want, out)
		}
	}
}

func dial(addr string) error {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}
