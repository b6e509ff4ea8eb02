package localdb

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fakeMachine is an installer on a machine that has only the named programs
// and no database; run records commands and decides their outcome.
func fakeMachine(t *testing.T, euid int, programs []string, run func(argv []string) error) installer {
	t.Helper()
	dir := t.TempDir()
	return installer{
		finder:   finder{getenv: func(name string) string { return map[string]string{"PATH": dir}[name] }},
		euid:     euid,
		lockPath: filepath.Join(t.TempDir(), "lock"),
		lookPath: func(name string) (string, error) {
			if slices.Contains(programs, name) {
				return "/usr/bin/" + name, nil
			}
			return "", errors.New("not found")
		},
		run: func(_ context.Context, argv []string) error { return run(argv) },
	}
}

func TestMissingServerTellsTheUserEveryWayOut(t *testing.T) {
	t.Parallel()
	noSudo := func([]string) error { return errors.New("a password is required") }
	for name, tc := range map[string]struct {
		euid     int
		programs []string
		want     string
	}{
		"no package manager":    {0, nil, "MariaDB server"},
		"debian, not root":      {1000, []string{"apt-get"}, "sudo apt-get"},
		"debian, sudo password": {1000, []string{"apt-get", "sudo"}, "mariadb-server-core"},
		"fedora, not root":      {1000, []string{"dnf"}, "sudo dnf install -y mariadb-server"},
		"alpine, failing":       {0, []string{"apk"}, "apk install mariadb"},
	} {
		_, err := fakeMachine(t, tc.euid, tc.programs, noSudo).findOrInstall(t.Context(), func(string) {})
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s: %v does not wrap ErrNotFound", name, err)
		}
		for _, want := range []string{tc.want, EnvMariaDBD, EnvDSN} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not mention %q", name, err, want)
			}
		}
	}
}

// fakeServer puts a program into the machine's PATH that says it is version.
func fakeServer(t *testing.T, in installer, name, version string) {
	t.Helper()
	prefix := in.finder.getenv("PATH")
	bin := filepath.Join(prefix, name)
	if err := os.WriteFile(bin, []byte("#!/bin/sh\necho '"+version+"'\n"), 0o700); err != nil {
		t.Error(err)
	}
	share := filepath.Join(filepath.Dir(prefix), "share", "mysql")
	if err := os.MkdirAll(share, 0o700); err != nil {
		t.Error(err)
	}
	for _, script := range []string{"system_tables", "performance_tables", "system_tables_data"} {
		if err := os.WriteFile(filepath.Join(share, "mysql_"+script+".sql"), nil, 0o600); err != nil {
			t.Error(err)
		}
	}
}

// Not parallel: a fork by another test while the fake program is being written
// would make running it fail with "text file busy".
func TestInstallRefreshesAStalePackageListOnce(t *testing.T) {
	var ran []string
	var in installer
	refreshed := false
	in = fakeMachine(t, 1000, []string{"apt-get", "sudo"}, func(argv []string) error {
		command := strings.Join(argv, " ")
		ran = append(ran, command)
		switch {
		case command == "sudo -n true":
			return nil
		case strings.HasSuffix(command, "apt-get update"):
			refreshed = true
			return nil
		case !refreshed:
			return errors.New("unable to locate package")
		default:
			fakeServer(t, in, "mariadbd", "mariadbd  Ver 10.11.19-MariaDB")
			return nil
		}
	})
	server, err := in.findOrInstall(t.Context(), func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Base(server.Binary) != "mariadbd" || len(server.Scripts) != 3 {
		t.Errorf("found %+v", server)
	}
	if len(ran) != 4 || !strings.HasPrefix(ran[3], "sudo -n apt-get") || !strings.Contains(ran[3], "--no-remove") {
		t.Errorf("ran %q", ran)
	}
}

// Not parallel: a fork by another test while the fake program is being written
// would make running it fail with "text file busy".
func TestOraclesServerIsNotTakenForMariaDB(t *testing.T) {
	in := fakeMachine(t, 0, nil, func([]string) error { return nil })
	fakeServer(t, in, "mysqld", "mysqld  Ver 8.4.0 for Linux (MySQL Community Server - GPL)")
	if _, err := in.finder.find(); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "not a MariaDB server") {
		t.Fatalf("error %v, want a refusal that says why", err)
	}
}

func TestAVariableThatNamesNoServerIsAnErrorNotASearch(t *testing.T) {
	t.Parallel()
	in := fakeMachine(t, 0, []string{"apt-get"}, func([]string) error {
		t.Error("must not install")
		return nil
	})
	in.finder.getenv = func(name string) string { return map[string]string{EnvMariaDBD: "/nonexistent/mariadbd"}[name] }
	if _, err := in.findOrInstall(t.Context(), func(string) {}); err == nil || !strings.Contains(err.Error(), EnvMariaDBD) {
		t.Fatalf("error %v, want one that names the variable", err)
	}
}
