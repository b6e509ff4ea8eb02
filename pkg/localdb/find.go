// Package localdb owns a private MariaDB server that runs as a child of this
// process: finding or installing the server program, creating its data
// directory, starting, stopping, killing and restarting it.
//
// It is for single-machine use and for tests. It must not know any schema of
// the project, must not touch a server it did not start, and must not be part
// of a production deployment (there the database is given by its DSN).
package localdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Environment variables that steer where the database comes from.
const (
	// EnvMariaDBD names a mariadbd program to use instead of searching for one.
	EnvMariaDBD = "CREDITPAY_MARIADBD"
	// EnvDSN names a ready database; who has it set does not need this package.
	// It is read by callers and appears here only in advice to the user.
	EnvDSN = "CREDITPAY_MYSQL_DSN"
)

// ErrNotFound says that no MariaDB server program is on this machine.
var ErrNotFound = errors.New("no MariaDB server program found")

// versionTimeout bounds "mariadbd --version", which normally takes 10 ms.
const versionTimeout = 10 * time.Second

// Server is a MariaDB server program and what it needs to create a database.
type Server struct {
	// Binary is the absolute path of mariadbd.
	Binary string
	// Version is the line printed by "mariadbd --version".
	Version string
	// Prefix is the installation prefix, for example /usr.
	Prefix string
	// Share is the directory with error messages and the system table scripts.
	Share string
	// Scripts are the SQL files that create the system tables, in order.
	Scripts []string
}

// Find looks for a MariaDB server: CREDITPAY_MARIADBD if set (then nothing
// else), PATH, the usual system directories, and /opt. It returns an error
// wrapping ErrNotFound when there is none. Oracle's MySQL server is passed
// over: it creates its data directory differently and was never tested here.
func Find() (Server, error) { return systemFinder().find() }

// finder holds what a search depends on, so that tests can fake a machine.
type finder struct {
	getenv func(string) string
	globs  []string
}

func systemFinder() finder {
	return finder{getenv: os.Getenv, globs: []string{
		"/usr/sbin", "/usr/libexec", "/usr/bin", "/usr/local/bin", "/usr/local/sbin", "/usr/local/libexec",
		"/usr/local/mariadb*/bin", "/usr/local/mysql*/bin",
		"/opt/*/bin", "/opt/*/sbin", "/opt/*/opt/mariadb*/bin", "/opt/*/*/bin",
	}}
}

func (f finder) find() (Server, error) {
	if binary := f.getenv(EnvMariaDBD); binary != "" {
		server, err := inspect(binary)
		if err != nil {
			return Server{}, fmt.Errorf("%s=%s: %w", EnvMariaDBD, binary, err)
		}
		return server, nil
	}
	var rejected []error
	for _, binary := range f.candidates() {
		server, err := inspect(binary)
		if err == nil {
			return server, nil
		}
		rejected = append(rejected, fmt.Errorf("%s: %w", binary, err))
	}
	return Server{}, errors.Join(append([]error{ErrNotFound}, rejected...)...)
}

// candidates lists existing executables, the preferred name first.
func (f finder) candidates() []string {
	dirs := filepath.SplitList(f.getenv("PATH"))
	for _, glob := range f.globs {
		matches, err := filepath.Glob(glob)
		if err != nil {
			continue // only possible for a malformed pattern, and ours are constants
		}
		dirs = append(dirs, matches...)
	}
	seen := make(map[string]struct{})
	var found []string
	for _, name := range []string{"mariadbd", "mysqld"} {
		for _, dir := range dirs {
			path := filepath.Join(dir, name)
			stat, err := os.Stat(path)
			if err != nil || !stat.Mode().IsRegular() || stat.Mode()&0o111 == 0 || !filepath.IsAbs(path) {
				continue
			}
			if real, err := filepath.EvalSymlinks(path); err == nil {
				path = real
			}
			if _, dup := seen[path]; !dup {
				seen[path] = struct{}{}
				found = append(found, path)
			}
		}
	}
	return found
}

// inspect checks that binary is a MariaDB server whose scripts are present.
func inspect(binary string) (Server, error) {
	binary, err := filepath.Abs(binary)
	if err != nil {
		return Server{}, fmt.Errorf("resolve path: %w", err)
	}
	if real, err := filepath.EvalSymlinks(binary); err == nil {
		binary = real
	}
	ctx, cancel := context.WithTimeout(context.Background(), versionTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "--no-defaults", "--version").CombinedOutput()
	version := strings.TrimSpace(string(out))
	if err != nil {
		return Server{}, fmt.Errorf("run --version: %w: %s", err, version)
	}
	if !strings.Contains(version, "MariaDB") {
		return Server{}, fmt.Errorf("not a MariaDB server (%q); a MySQL server can be used by setting %s", version, EnvDSN)
	}
	server := Server{Binary: binary, Version: version, Prefix: filepath.Dir(filepath.Dir(binary))}
	for _, share := range []string{"share/mysql", "share/mariadb", "share"} {
		dir := filepath.Join(server.Prefix, share)
		if scripts := systemScripts(dir); scripts != nil {
			server.Share, server.Scripts = dir, scripts
			return server, nil
		}
	}
	return Server{}, fmt.Errorf("no system table scripts under %s/share", server.Prefix)
}

// systemScripts returns the scripts in dir, or nil if they are not complete.
// MariaDB 11 renamed them from mysql_ to mariadb_.
func systemScripts(dir string) []string {
	for _, prefix := range []string{"mariadb_", "mysql_"} {
		var scripts []string
		for _, name := range []string{"system_tables", "performance_tables", "system_tables_data"} {
			path := filepath.Join(dir, prefix+name+".sql")
			if _, err := os.Stat(path); err != nil {
				break
			}
			scripts = append(scripts, path)
		}
		if len(scripts) == 3 {
			return scripts
		}
	}
	return nil
}
