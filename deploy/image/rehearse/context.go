package main

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// contextBytesMax is far above what the build reads; more is a folder that .dockerignore has forgotten.
const contextBytesMax = 64 << 20

// copyContext copies the files of a repository that its .dockerignore lets through, as an engine would.
func copyContext(repo, to string) (files int, bytes int64, err error) {
	ignore, err := os.Open(filepath.Join(repo, ".dockerignore"))
	if err != nil {
		return 0, 0, err
	}
	defer ignore.Close()
	lines, err := ignorefile.ReadAll(ignore)
	if err != nil {
		return 0, 0, fmt.Errorf(".dockerignore: %w", err)
	}
	matcher, err := patternmatcher.New(lines)
	if err != nil {
		return 0, 0, fmt.Errorf(".dockerignore: %w", err)
	}
	parents := map[string]patternmatcher.MatchInfo{}
	err = filepath.WalkDir(repo, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(repo, path)
		if err != nil || relative == "." {
			return err
		}
		ignored, info, err := matcher.MatchesUsingParentResults(relative, parents[filepath.Dir(relative)])
		if err != nil {
			return err
		}
		if entry.IsDir() {
			parents[relative] = info
			if ignored && !readmits(matcher, relative) {
				return filepath.SkipDir
			}
			return nil
		}
		if ignored || !entry.Type().IsRegular() {
			return nil
		}
		files++
		copied, err := copyFile(path, filepath.Join(to, relative))
		bytes += copied
		if bytes > contextBytesMax {
			return fmt.Errorf(".dockerignore: the context is larger than %d bytes, at %s", contextBytesMax, relative)
		}
		return err
	})
	return files, bytes, err
}

// readmits says whether a later pattern may let something below an ignored folder through.
func readmits(matcher *patternmatcher.PatternMatcher, folder string) bool {
	for _, pattern := range matcher.Patterns() {
		if pattern.Exclusion() && strings.HasPrefix(pattern.String()+"/", folder+"/") {
			return true
		}
	}
	return false
}

// copyFile copies a file with its mode and its time, by which cargo goes.
func copyFile(from, to string) (int64, error) {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return 0, err
	}
	source, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer source.Close()
	about, err := source.Stat()
	if err != nil {
		return 0, err
	}
	// What is there may be read-only.
	if err := os.RemoveAll(to); err != nil {
		return 0, err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, about.Mode().Perm())
	if err != nil {
		return 0, err
	}
	copied, err := io.Copy(target, source)
	if closed := target.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return copied, err
	}
	return copied, os.Chtimes(to, about.ModTime(), about.ModTime())
}

// copyInto copies a file, or what a folder holds, as COPY does.
func copyInto(from, to string, intoFolder bool) error {
	about, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !about.IsDir() {
		if intoFolder {
			to = filepath.Join(to, filepath.Base(from))
		}
		_, err := copyFile(from, to)
		return err
	}
	if err := os.MkdirAll(to, 0o755); err != nil {
		return err
	}
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, relative), 0o755)
		}
		_, err = copyFile(path, filepath.Join(to, relative))
		return err
	})
}
