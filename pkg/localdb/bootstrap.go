package localdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// bootstrapHead precedes the system table scripts: one statement per line,
// because the server's bootstrap reader takes it so. Root gets an empty
// password instead of socket authentication, which would bind it to one OS user.
const bootstrapHead = "create database if not exists mysql;\nuse mysql;\nset @auth_root_socket=NULL;\n"

// bootstrap creates the data directory if it is absent. It is atomic: the work
// is done in a sibling directory that is renamed when complete, so a crash at
// any moment leaves either no data directory or a whole one. The caller holds
// the lock of cfg.Dir; lock is inherited by the server process.
func bootstrap(ctx context.Context, cfg Config, lock *os.File) error {
	if _, err := os.Stat(cfg.dataDir()); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look for data directory: %w", err)
	}
	if err := os.RemoveAll(cfg.newDir()); err != nil {
		return fmt.Errorf("remove unfinished data directory: %w", err)
	}
	if err := os.Mkdir(cfg.newDir(), 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	if err := runBootstrap(ctx, cfg, lock); err != nil {
		return fmt.Errorf("create system tables: %w", err)
	}
	if err := os.Rename(cfg.newDir(), cfg.dataDir()); err != nil {
		return fmt.Errorf("put data directory in place: %w", err)
	}
	return syncDir(cfg.Dir)
}

func runBootstrap(ctx context.Context, cfg Config, lock *os.File) error {
	script := []io.Reader{strings.NewReader(bootstrapHead)}
	for _, path := range cfg.Server.Scripts {
		file, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("open system table script: %w", err)
		}
		defer func() { _ = file.Close() }() // read only
		script = append(script, file, strings.NewReader("\n"))
	}
	// Cancellation is below: the whole child, not only its start, must be waited for.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), cfg.Server.Binary, cfg.bootstrapFlags(cfg.newDir())...)
	cmd.Env = serverEnv()
	cmd.Stdin = io.MultiReader(script...)
	cmd.ExtraFiles = []*os.File{lock}
	out := newTail(outputTailBytes)
	cmd.Stdout, cmd.Stderr = out, out
	proc, err := startChild(cmd)
	if err != nil {
		return err
	}
	select {
	case <-proc.done:
	case <-ctx.Done():
		proc.kill()
		return ctx.Err()
	}
	if proc.err != nil {
		return fmt.Errorf("%w: %s", proc.err, out)
	}
	return nil
}

// serverEnv is the environment of the server: what its loader needs and none
// of this process's secrets.
func serverEnv() []string {
	env := []string{"TZ=UTC", "LC_ALL=C"}
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// syncDir makes a rename in dir survive a crash of the machine.
func syncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	return nil
}
