package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

const (
	// The user `nonroot` of the base image, by number: Kubernetes cannot see that a name is not root's.
	user = "65532:65532"
	data = "/var/lib/vigie"
)

var programs = []string{"/usr/local/bin/vigie", "/usr/local/bin/vigie-loadtest"}

// notices are our licence, and those of others whose files are in our programs.
var notices = []string{"/usr/share/doc/vigie/LICENSE", "/usr/share/doc/vigie/NOTICE"}

// ports of frontend, coordinator, bank, matcher, gateway and telemetry.
var ports = []string{"7740", "7741", "7742", "7750", "7780", "9464"}

var pinned = regexp.MustCompile(`^[a-z0-9./-]+:[A-Za-z0-9._-]+@sha256:[0-9a-f]{64}$`)

// licences are what the labels say of the image without and with ffmpeg.
var licences = map[bool]string{false: "Apache-2.0", true: "Apache-2.0 AND GPL-2.0-or-later"}

// others are the programs that are not ours, and where there may be what they need, and what their licences ask for.
var (
	others    = []string{"/usr/bin/ffmpeg", "/usr/bin/ffprobe"}
	ofOthers  = regexp.MustCompile(`^/usr/lib/[a-z0-9_]+-linux-gnu/[^/]+$|^/usr/share/(doc/[^/]+/copyright|common-licenses/[^/]+)$|^/var/lib/dpkg/status\.d/[^/]+$`)
	ofLicence = "/usr/share/doc/vigie/FFMPEG"
)

// check compares the image with what the chart and compose.yaml rely on.
func (i *image) check(startable, ffmpeg bool) error {
	var faults []error
	fault := func(holds bool, format string, values ...any) {
		if !holds {
			faults = append(faults, fmt.Errorf(format, values...))
		}
	}
	for _, base := range i.bases {
		fault(pinned.MatchString(base), "FROM %s: names no digest", base)
	}
	fault(i.stripped, "the stage `build` does not strip symbols from the programs (CARGO_PROFILE_RELEASE_STRIP)")
	fault(i.user == user, "USER %s: must be %s", i.user, user)
	fault(i.workdir == data, "WORKDIR %s: must be %s", i.workdir, data)
	fault(i.owners[data] == user, "%s belongs to %q and not to %s: a role could not write there", data, i.owners[data], user)
	fault(slices.Equal(i.ports, ports), "EXPOSE %v: must be %v", i.ports, ports)
	fault(slices.Equal(i.entrypoint, programs[:1]), "ENTRYPOINT %v: must be %v", i.entrypoint, programs[:1])
	health := []string{programs[0], "health"}
	fault(slices.Equal(i.health, health), "HEALTHCHECK %v: must be %v", i.health, health)
	var found []string
	err := filepath.WalkDir(i.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			found = append(found, strings.TrimPrefix(path, i.root))
		}
		return err
	})
	if err != nil {
		return err
	}
	wanted := slices.Concat(programs, notices)
	if ffmpeg {
		wanted = append(wanted, append(others, ofLicence)...)
		found = slices.DeleteFunc(found, ofOthers.MatchString)
		notice, err := os.ReadFile(filepath.Join(i.root, ofLicence))
		version := i.labels["vigie.ffmpeg.version"]
		fault(err == nil && version != "" && strings.Contains(string(notice), version), "%s does not name the version %q of the label", ofLicence, version)
	}
	slices.Sort(wanted)
	fault(slices.Equal(found, wanted), "the image holds %v: must be %v", found, wanted)
	said := i.labels["org.opencontainers.image.licenses"]
	fault(said == licences[ffmpeg], "the label of licences is %q: must be %q", said, licences[ffmpeg])
	for _, program := range programs {
		about, err := os.Stat(filepath.Join(i.root, program))
		fault(err == nil && about.Mode().Perm()&0o111 == 0o111, "%s is not there, or not everybody may start it", program)
	}
	if startable && len(faults) == 0 {
		for _, command := range [][]string{{programs[0], "--version"}, append(health, "--help"), {programs[1], "--version"}} {
			said, err := exec.Command(filepath.Join(i.root, command[0]), command[1:]...).CombinedOutput()
			fault(err == nil, "%s: %v: %s", strings.Join(command, " "), err, said)
		}
	}
	return errors.Join(faults...)
}
