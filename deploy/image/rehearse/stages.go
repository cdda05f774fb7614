package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// build is a Dockerfile with what its stages have come to so far.
type build struct {
	stages                          []instructions.Stage
	arguments                       map[string]string
	context, work, target, binaries string
	roots                           map[string]string
	without                         map[string]bool
}

// image is what a stage makes.
type image struct {
	bases      []string
	root       string
	user       string
	workdir    string
	entrypoint []string
	health     []string
	ports      []string
	owners     map[string]string
	labels     map[string]string
	stripped   bool
}

func readDockerfile(file string) (*build, error) {
	text, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	parsed, err := parser.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("Dockerfile: %w", err)
	}
	stages, arguments, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, fmt.Errorf("Dockerfile: %w", err)
	}
	values := map[string]string{}
	for _, argument := range arguments {
		for _, pair := range argument.Args {
			values[pair.Key] = pair.ValueString()
		}
	}
	return &build{stages: stages, arguments: values, roots: map[string]string{}}, nil
}

// run runs every stage and gives those by name; the last one, which is built where no target is named, is `default`.
func (b *build) run() (map[string]*image, error) {
	if err := b.writeCargo(); err != nil {
		return nil, err
	}
	made := map[string]*image{}
	var bases []string
	for number, stage := range b.stages {
		if b.without[stage.Name] {
			continue
		}
		base, err := expand(stage.BaseName, b.arguments)
		if err != nil {
			return nil, err
		}
		name := stage.Name
		if number == len(b.stages)-1 {
			name = "default"
		}
		root := filepath.Join(b.work, name)
		if err := os.MkdirAll(root, 0o755); err != nil {
			return nil, err
		}
		b.roots[name] = root
		one := &image{root: root, workdir: "/", owners: map[string]string{}, labels: map[string]string{}}
		if earlier, own := made[base]; own {
			one = earlier.copied(root)
			if err := copyInto(earlier.root, root, false); err != nil {
				return nil, fmt.Errorf("stage %s: %w", name, err)
			}
		} else {
			bases = append(bases, base)
		}
		environment := map[string]string{}
		for _, command := range stage.Commands {
			if err := b.step(one, environment, command); err != nil {
				return nil, fmt.Errorf("stage %s: %w", name, err)
			}
		}
		one.stripped = environment["CARGO_PROFILE_RELEASE_STRIP"] == "symbols"
		made[name] = one
	}
	build, found := made["build"]
	if !found {
		return nil, errors.New("there is no stage `build`")
	}
	for _, one := range made {
		one.bases, one.stripped = bases, build.stripped
	}
	return made, nil
}

// copied is a stage that builds on another one, before its first step.
func (i *image) copied(root string) *image {
	one := *i
	one.root, one.owners, one.labels = root, maps.Clone(i.owners), maps.Clone(i.labels)
	one.ports = slices.Clone(i.ports)
	return &one
}

func (b *build) step(made *image, environment map[string]string, command instructions.Command) error {
	switch step := command.(type) {
	case *instructions.ArgCommand:
		for _, pair := range step.Args {
			value := pair.ValueString()
			if outer, given := b.arguments[pair.Key]; given && pair.Value == nil {
				value = outer
			}
			environment[pair.Key] = value
		}
	case *instructions.EnvCommand:
		for _, pair := range step.Env {
			value, err := expand(pair.Value, environment)
			if err != nil {
				return err
			}
			environment[pair.Key] = value
		}
	case *instructions.WorkdirCommand:
		made.workdir = path.Join(made.workdir, step.Path)
		if path.IsAbs(step.Path) {
			made.workdir = step.Path
		}
		return os.MkdirAll(filepath.Join(made.root, made.workdir), 0o755)
	case *instructions.CopyCommand:
		return b.copy(made, step)
	case *instructions.RunCommand:
		return b.execute(made, environment, step)
	case *instructions.UserCommand:
		made.user = step.User
	case *instructions.EntrypointCommand:
		if step.PrependShell {
			return fmt.Errorf("ENTRYPOINT %v needs a shell, and the image has none", step.CmdLine)
		}
		made.entrypoint = step.CmdLine
	case *instructions.HealthCheckCommand:
		if len(step.Health.Test) < 2 || step.Health.Test[0] != "CMD" {
			return fmt.Errorf("HEALTHCHECK %v needs a shell, and the image has none", step.Health.Test)
		}
		made.health = step.Health.Test[1:]
	case *instructions.ExposeCommand:
		made.ports = append(made.ports, step.Ports...)
	case *instructions.LabelCommand:
		for _, pair := range step.Labels {
			value, err := expand(pair.Value, environment)
			if err != nil {
				return err
			}
			made.labels[strings.Trim(pair.Key, `"`)] = value
		}
	default:
		return fmt.Errorf("%s is not rehearsed", command.Name())
	}
	return nil
}

func (b *build) copy(made *image, step *instructions.CopyCommand) error {
	from := b.context
	if step.From != "" {
		root, own := b.roots[step.From]
		if !own {
			return fmt.Errorf("COPY --from=%s: there is no such stage before this one", step.From)
		}
		from = root
	}
	to := step.DestPath
	if !path.IsAbs(to) {
		to = path.Join(made.workdir, to)
	}
	intoFolder := strings.HasSuffix(step.DestPath, "/") || len(step.SourcePaths) > 1
	for _, source := range step.SourcePaths {
		if err := copyInto(filepath.Join(from, source), filepath.Join(made.root, to), intoFolder); err != nil {
			return fmt.Errorf("COPY %s: %w", source, err)
		}
	}
	made.owners[path.Clean(to)] = step.Chown
	return nil
}

// absolute finds paths from the root of the image's file system.
var absolute = regexp.MustCompile(`(^|[\s"'=])/([A-Za-z0-9_.-]+)`)

// ofSystem are folders of the system that the commands run on here.
var ofSystem = map[string]bool{"bin": true, "dev": true, "etc": true, "lib": true, "proc": true, "tmp": true, "usr": true}

func (b *build) execute(made *image, environment map[string]string, step *instructions.RunCommand) error {
	if !step.PrependShell || len(step.Files) > 0 {
		return fmt.Errorf("RUN %v: only commands of the shell are rehearsed", step.CmdLine)
	}
	script := strings.Join(step.CmdLine, " ")
	script = absolute.ReplaceAllStringFunc(script, func(found string) string {
		at := strings.Index(found, "/")
		if ofSystem[found[at+1:]] {
			return found
		}
		return found[:at] + filepath.Join(made.root, found[at:])
	})
	run := exec.Command("/bin/sh", "-c", script)
	run.Dir = filepath.Join(made.root, made.workdir)
	// What a build downloads is taken from this machine.
	run.Env = append(withoutCompilerSettings(os.Environ()), "FFMPEG_INSTALLED=1", "CARGO_TARGET_DIR="+b.target, "PATH="+filepath.Join(b.work, "bin")+":"+os.Getenv("PATH"))
	for name, value := range environment {
		run.Env = append(run.Env, name+"="+value)
	}
	begun := time.Now()
	said, err := run.CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(strings.Join(step.CmdLine, " ")), "\n")
	if err != nil {
		lines := strings.Split(strings.TrimSpace(string(said)), "\n")
		return fmt.Errorf("RUN %.60s ...: %w:\n%s", first, err, strings.Join(lines[max(0, len(lines)-30):], "\n"))
	}
	fmt.Printf("RUN %.60s ...: done in %.0f s\n", first, time.Since(begun).Seconds())
	if filepath.Base(made.root) == "skeleton" {
		return checkPrograms(made.root)
	}
	return nil
}

// withoutCompilerSettings leaves out what the caller sets for its own compilations, lints for example: an image is built
// without them.
func withoutCompilerSettings(environment []string) []string {
	return slices.DeleteFunc(environment, func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return strings.HasPrefix(name, "RUSTC") || strings.HasPrefix(name, "RUSTDOC") || strings.HasSuffix(name, "RUSTFLAGS")
	})
}

func expand(word string, values map[string]string) (string, error) {
	var pairs []string
	for name, value := range values {
		pairs = append(pairs, name+"="+value)
	}
	expanded, unmatched, err := shell.NewLex('\\').ProcessWord(word, shell.EnvsFromSlice(pairs))
	if err == nil && len(unmatched) > 0 {
		err = fmt.Errorf("%s: a variable of it has no value", word)
	}
	return expanded, err
}

// cargo is put before the real one: it checks what a release would build, and puts a program where the release would.
const cargo = `#!/bin/sh
set -eu
[ "$1" = build ] || { echo "cargo $1 is not rehearsed" >&2; exit 64; }
shift
packages="" release="" locked="" previous=""
for argument; do
    shift
    case "$argument" in
    --release) release=yes; continue ;;
    --locked) locked=yes ;;
    esac
    if [ "$previous" = -p ]; then packages="$packages $argument"; fi
    previous="$argument"
    set -- "$@" "$argument"
done
[ "$release$locked" = yesyes ] || { echo "cargo build without --release or without --locked" >&2; exit 64; }
'@CARGO@' check --quiet "$@"
mkdir -p target/release
for package in $packages; do
    if [ -n '@BINARIES@' ]; then
        cp '@BINARIES@'/"$package" target/release/
    else
        printf '#!/bin/sh\n' >"target/release/$package"
        chmod 755 "target/release/$package"
    fi
done
`

func (b *build) writeCargo() error {
	real, err := exec.LookPath("cargo")
	if err != nil {
		return err
	}
	text := strings.NewReplacer("@CARGO@", real, "@BINARIES@", b.binaries).Replace(cargo)
	file := filepath.Join(b.work, "bin", "cargo")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o755)
}
