package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/creditpay/creditpay/pkg/internal/filelock"
)

// installTimeout bounds the whole installation, downloads included.
const installTimeout = 10 * time.Minute

// outputTailBytes is how much of a failed command's output an error carries.
const outputTailBytes = 2000

// packageManager is a way to install the server: install is tried, and if it
// fails tried once more after refresh.
type packageManager struct {
	program string
	pack    string
	install []string
	refresh []string
}

// packageManagers returns the known package managers. On Debian and Ubuntu the
// "-core" package is enough: 7 MB, no service, no /var/lib/mysql.
func packageManagers() []packageManager {
	return []packageManager{
		{
			program: "apt-get", pack: "mariadb-server-core",
			// --no-remove: never take away a MySQL server that is installed and conflicts.
			install: []string{
				"-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-remove", "--no-install-recommends", "mariadb-server-core",
			},
			refresh: []string{"update"},
		},
		{program: "dnf", pack: "mariadb-server", install: []string{"install", "-y", "mariadb-server"}},
		{
			program: "apk", pack: "mariadb",
			install: []string{"add", "--no-cache", "mariadb"},
			refresh: []string{"update"},
		},
	}
}

// installer holds what an installation depends on, so that tests can fake it.
type installer struct {
	finder   finder
	euid     int
	lockPath string
	lookPath func(string) (string, error)
	run      func(ctx context.Context, argv []string) error
}

// FindOrInstall is Find, and if there is no server and this process is root
// (or sudo asks no password), installs one with the system's package manager.
// Only one process of a user installs at a time; the others wait and then find
// it. log receives one line per step. When nothing can be done the error wraps
// ErrNotFound and says which package to install or which variable to set.
func FindOrInstall(ctx context.Context, log func(string)) (Server, error) {
	in := installer{
		finder:   systemFinder(),
		euid:     os.Geteuid(),
		lockPath: filepath.Join(os.TempDir(), "creditpay-install-mariadb-"+strconv.Itoa(os.Geteuid())+".lock"),
		lookPath: exec.LookPath,
		run:      runCommand,
	}
	return in.findOrInstall(ctx, log)
}

func (in installer) findOrInstall(ctx context.Context, log func(string)) (Server, error) {
	server, err := in.finder.find()
	if err == nil || !errors.Is(err, ErrNotFound) {
		return server, err
	}
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	lock, err := filelock.Wait(ctx, in.lockPath)
	if err != nil {
		return Server{}, fmt.Errorf("install MariaDB: %w", err)
	}
	defer func() { _ = lock.Release() }()
	// Somebody else may have installed it while this process waited.
	server, missing := in.finder.find()
	if missing == nil {
		return server, nil
	}
	argvPrefix, manager, err := in.choose(ctx)
	if err != nil {
		return Server{}, fmt.Errorf("%w: %w", missing, err)
	}
	log("installing " + manager.pack + " with " + manager.program)
	if err := in.install(ctx, argvPrefix, manager, log); err != nil {
		return Server{}, fmt.Errorf("%w: install: %w; %s", missing, err, advice(manager.program+" install "+manager.pack))
	}
	server, err = in.finder.find()
	if err != nil {
		return Server{}, fmt.Errorf("after installing %s: %w", manager.pack, err)
	}
	log("installed " + server.Binary)
	return server, nil
}

// choose picks the package manager and the words before it (none, or sudo).
func (in installer) choose(ctx context.Context) ([]string, packageManager, error) {
	for _, manager := range packageManagers() {
		if _, err := in.lookPath(manager.program); err != nil {
			continue
		}
		command := manager.program + " " + strings.Join(manager.install, " ")
		if in.euid == 0 {
			return nil, manager, nil
		}
		if _, err := in.lookPath("sudo"); err == nil && in.run(ctx, []string{"sudo", "-n", "true"}) == nil {
			return []string{"sudo", "-n"}, manager, nil
		}
		return nil, manager, errors.New(advice("sudo " + command))
	}
	return nil, packageManager{}, errors.New(advice("your package manager: the MariaDB server, 10.11 or later"))
}

func (in installer) install(ctx context.Context, prefix []string, manager packageManager, log func(string)) error {
	argv := func(args []string) []string {
		return append(append(append([]string{}, prefix...), manager.program), args...)
	}
	err := in.run(ctx, argv(manager.install))
	if err == nil || manager.refresh == nil || ctx.Err() != nil {
		return err
	}
	// Usual in fresh containers: the package list is empty or too old.
	log("refreshing the package list")
	if refreshErr := in.run(ctx, argv(manager.refresh)); refreshErr != nil {
		return errors.Join(err, refreshErr)
	}
	return in.run(ctx, argv(manager.install))
}

// advice tells the user the three ways out.
func advice(command string) string {
	return "install it (" + command + "), or set " + EnvMariaDBD +
		" to a mariadbd program, or set " + EnvDSN + " to a running database"
}

func runCommand(ctx context.Context, argv []string) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	// SIGTERM, not SIGKILL: a package manager must be able to leave its database clean.
	cmd.Cancel = func() error { return terminate(cmd.Process) }
	cmd.WaitDelay = 30 * time.Second
	out := newTail(outputTailBytes)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, out)
	}
	return nil
}
