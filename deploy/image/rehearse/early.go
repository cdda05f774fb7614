package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// checkSources finds code that the context lacks: in seconds, where the compiler would take minutes to come upon it.
func checkSources(repo, context string) error {
	listed, err := exec.Command("git", "-C", repo, "ls-files", "--", "proto", "services", "loadtest", "tests").Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	var missing []string
	for _, file := range strings.Split(strings.TrimSpace(string(listed)), "\n") {
		// What .dockerignore leaves out on purpose.
		if !strings.HasSuffix(file, ".rs") || strings.Contains(file, "/fuzz/") || strings.Contains(file, "/peers/") {
			continue
		}
		if _, err := os.Stat(filepath.Join(context, file)); err != nil {
			missing = append(missing, file)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf(".dockerignore drops %d files of code: %s", len(missing), strings.Join(missing, ", "))
	}
	return nil
}

// checkPrograms compiles the empty programs of the skeleton, one of each text: without the crates that they would wait for.
func checkPrograms(root string) error {
	seen := map[string]bool{}
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".rs") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || seen[string(text)] {
			return err
		}
		seen[string(text)] = true
		compile := exec.Command("rustc", "--edition=2024", "--crate-type=bin", "--emit=metadata", "--cap-lints=allow", "--crate-name=empty", path)
		if compile.Dir, err = os.MkdirTemp("", "vigie-rehearse-"); err != nil {
			return err
		}
		defer os.RemoveAll(compile.Dir)
		if said, err := compile.CombinedOutput(); err != nil {
			return fmt.Errorf("the skeleton's %s does not compile: %w:\n%s", strings.TrimPrefix(path, root), err, said)
		}
		return nil
	})
}
