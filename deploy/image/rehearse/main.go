// Rehearse builds the image without an engine: it applies .dockerignore by the rules of the engine, runs the stages of the
// Dockerfile in folders, with `cargo check` in the place of the release build, and checks the image that results. And it loads
// compose.yaml as the engine's client does, alone, for members and with classifiers, and holds it to what is promised of it.
//
//	go run . -repo ../../..                       the rehearsal
//	go run . -repo ../../.. -binaries DIR         the same, with these programs in the place of those of a release
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	repo := flag.String("repo", ".", "folder of the repository")
	work := flag.String("work", "", "folder to work in, which is emptied first (default: REPO/target/image-rehearsal)")
	target := flag.String("target", "", "cargo's folder of what it has compiled (default: REPO/target)")
	binaries := flag.String("binaries", "", "folder with `vigie` and `vigie-loadtest`, to be started from where the image has them")
	composeOnly := flag.Bool("compose-only", false, "check compose.yaml and build nothing")
	flag.Parse()
	var faults []error
	for _, one := range clusters(*repo) {
		faults = append(faults, one.check())
	}
	if err := errors.Join(faults...); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED:", err)
		os.Exit(1)
	}
	if *composeOnly {
		return
	}
	if err := rehearse(*repo, *work, *target, *binaries); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED: the image:", err)
		os.Exit(1)
	}
}

func rehearse(repo, work, target, binaries string) error {
	begun := time.Now()
	repo, err := filepath.Abs(repo)
	if err != nil {
		return err
	}
	if work == "" {
		work = filepath.Join(repo, "target", "image-rehearsal")
	}
	if target == "" {
		target = filepath.Join(repo, "target")
	}
	if work, err = filepath.Abs(work); err != nil {
		return err
	}
	if target, err = filepath.Abs(target); err != nil {
		return err
	}
	if binaries != "" {
		if binaries, err = filepath.Abs(binaries); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	context := filepath.Join(work, "context")
	files, bytes, err := copyContext(repo, context)
	if err != nil {
		return err
	}
	fmt.Printf("context: %d files, %.1f MB\n", files, float64(bytes)/1e6)
	if err := checkSources(repo, context); err != nil {
		return err
	}
	build, err := readDockerfile(filepath.Join(repo, "Dockerfile"))
	if err != nil {
		return err
	}
	build.context, build.work, build.target, build.binaries = context, work, target, binaries
	ffmpeg := build.useInstalled()
	images, err := build.run()
	if err != nil {
		return err
	}
	image := images["default"]
	if err := image.check(binaries != "", false); err != nil {
		return err
	}
	fmt.Printf("the image holds: user %s, %d programs, health check %v (in %.0f s)\n",
		image.user, len(programs), image.health, time.Since(begun).Seconds())
	if !ffmpeg {
		return nil
	}
	with, found := images["ffmpeg"]
	if !found {
		return errors.New("there is no stage `ffmpeg`")
	}
	if err := with.check(binaries != "", true); err != nil {
		return fmt.Errorf("with ffmpeg: %w", err)
	}
	said, err := exec.Command(filepath.Join(repo, "deploy", "image", "try-ffmpeg"), with.root).CombinedOutput()
	if err != nil {
		return fmt.Errorf("with ffmpeg: %w: %s", err, said)
	}
	fmt.Printf("the image with ffmpeg holds, too: version %s, %s (in %.0f s)\n",
		with.labels["vigie.ffmpeg.version"], strings.TrimSpace(string(said)), time.Since(begun).Seconds())
	return nil
}

// useInstalled takes this machine's ffmpeg in the place of a download, where it is one of the release of Debian that the image is of. Without
// it the stages of ffmpeg are left out.
func (b *build) useInstalled() bool {
	system, _ := os.ReadFile("/etc/os-release")
	version, err := exec.Command("dpkg-query", "--show", "--showformat=${Version}", "ffmpeg").Output()
	if err != nil || !strings.Contains(string(system), "VERSION_CODENAME=bookworm") {
		fmt.Println("SKIPPED: there is no ffmpeg of Debian 12 on this machine, so the image with ffmpeg was not rehearsed")
		b.without = map[string]bool{"ffmpeg-root": true, "ffmpeg": true}
		return false
	}
	if named := b.arguments["FFMPEG"]; named != string(version) {
		fmt.Printf("NOTE: ffmpeg %s is installed, and the Dockerfile names %s: does Debian still have that?\n", version, named)
		b.arguments["FFMPEG"] = string(version)
	}
	return true
}
