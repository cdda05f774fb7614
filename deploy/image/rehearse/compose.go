package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// arrows are the connections of the design, from the caller to the called. No other pair of services may share a network.
var arrows = map[string][]string{
	"gateway":     {"frontend", "coordinator", "bank", "collector"},
	"frontend":    {"coordinator", "collector"},
	"coordinator": {"matcher", "collector"},
	"matcher":     {"bank", "collector"},
	"bank":        {"postgres", "collector"},
	"prometheus":  {"gateway", "frontend", "coordinator", "matcher", "bank"},
	"grafana":     {"prometheus"},
}

// arrowsOfMembers are those that the directory of members adds.
var arrowsOfMembers = map[string][]string{"frontend": {"bank"}, "coordinator": {"bank"}}

// arrowsOfClassifiers are those that a classifier adds: frontends and the classifier follow the bank's cards.
var arrowsOfClassifiers = map[string][]string{
	"frontend":   {"bank", "classifier"},
	"classifier": {"bank", "collector"},
	"prometheus": {"classifier"},
}

// cluster is one way to lay the files of compose.yaml over each other.
type cluster struct {
	name                 string
	files                []string
	members, classifiers bool
}

// clusters are the ways that the pages of deploy/compose describe.
func clusters(repo string) []cluster {
	alone := filepath.Join(repo, "compose.yaml")
	members := filepath.Join(repo, "deploy", "compose", "members", "compose.yaml")
	classifiers := filepath.Join(repo, "deploy", "compose", "classifiers", "compose.yaml")
	both := filepath.Join(repo, "deploy", "compose", "classifiers", "members.yaml")
	return []cluster{
		{"compose.yaml", []string{alone}, false, false},
		{"compose.yaml with members", []string{alone, members}, true, false},
		{"compose.yaml with classifiers", []string{alone, classifiers}, false, true},
		{"compose.yaml with members and classifiers", []string{alone, members, classifiers, both}, true, true},
	}
}

// mayCall says whether the design has a connection from one service to the other.
func (c cluster) mayCall(from, to string) bool {
	from, to = kind(from), kind(to)
	return slices.Contains(arrows[from], to) ||
		c.members && slices.Contains(arrowsOfMembers[from], to) ||
		c.classifiers && slices.Contains(arrowsOfClassifiers[from], to)
}

// check loads the files of a cluster as the engine's client does, and compares it with what is promised of it.
func (c cluster) check() error {
	name := c.name
	options, err := cli.NewProjectOptions(c.files, cli.WithDotEnv, cli.WithEnv([]string{"VIGIE_MODELS=/srv/models"}))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	var faults []error
	fault := func(holds bool, format string, values ...any) {
		if !holds {
			faults = append(faults, fmt.Errorf(name+": "+format, values...))
		}
	}
	used := map[string]bool{}
	for name, service := range project.Services {
		own := strings.HasPrefix(service.Image, "vigie:")
		fault(own || pinned.MatchString(service.Image), "%s: the image %s has no digest", name, service.Image)
		fault(service.MemLimit > 0, "%s: has no limit of memory", name)
		fault(service.Logging != nil && service.Logging.Options["max-size"] != "", "%s: its log has no limit", name)
		fault(service.Restart != "", "%s: is not started again when it ends", name)
		fault(!own || service.ReadOnly && slices.Contains(service.CapDrop, "ALL"), "%s: has more rights than it needs", name)
		for _, port := range service.Ports {
			fault(port.HostIP == "127.0.0.1", "%s: the port %s is open to other machines", name, port.Published)
		}
		reachable := len(service.Ports) == 0
		for network := range service.Networks {
			used[network] = true
			reachable = reachable || !bool(project.Networks[network].Internal)
		}
		fault(reachable, "%s: has a port, and internal networks alone", name)
	}
	for name := range project.Networks {
		fault(used[name], "the network %s is used by nobody", name)
	}
	for one, first := range project.Services {
		for other, second := range project.Services {
			shares := sharesNetwork(first, second)
			calls := c.mayCall(one, other)
			if calls {
				fault(shares, "%s calls %s, and shares no network with it", one, other)
			} else if kind(one) < kind(other) && !c.mayCall(other, one) && !watches(one, other) {
				fault(!shares, "%s and %s share a network, and neither calls the other", one, other)
			}
		}
	}
	_, runsModels := project.Services["classifier"]
	fault(runsModels == c.classifiers, "a classifier is there: %t", runsModels)
	test := project.Services["postgres"].HealthCheck.Test
	fault(slices.Contains(test, "--host=127.0.0.1"), "postgres: its health is asked on the socket, on which it answers before it is ready")
	checkSecrets(project, c.members, fault)
	if len(faults) == 0 {
		fmt.Printf("%s holds: %d services, %d networks, images by digest, limits of memory and logs\n",
			name, len(project.Services), len(project.Networks))
	}
	return errors.Join(faults...)
}

// checkSecrets sees to it that with members each role has what it needs, a pepper only where API keys are checked, and the key of the audit at the
// bank alone; without them nobody has any.
func checkSecrets(project *types.Project, members bool, fault func(bool, string, ...any)) {
	for name, service := range project.Services {
		var mounted []string
		for _, secret := range service.Secrets {
			mounted = append(mounted, secret.Source)
		}
		slices.Sort(mounted)
		var wanted []string
		if role := kind(name); members && slices.Contains([]string{"gateway", "frontend", "coordinator", "matcher", "bank", "classifier"}, role) {
			wanted = []string{"cluster-key"}
			key := "VIGIE__" + strings.ToUpper(role) + "__PROCESSES__CLUSTER_KEY"
			value := service.Environment[key]
			fault(value != nil && *value == "/run/secrets/cluster-key", "%s: %s does not name the cluster key", name, key)
			if role != "matcher" {
				wanted = append(wanted, "pepper")
			}
			if role == "bank" {
				wanted = append([]string{"audit-key"}, wanted...)
				keys := service.Environment["VIGIE__BANK__AUDIT__SIGNING_KEYS"]
				fault(keys != nil && *keys == `["/run/secrets/audit-key"]`, "%s: does not sign the audit with the key", name)
			}
		}
		fault(slices.Equal(mounted, wanted), "%s: has the secrets %v: must be %v", name, mounted, wanted)
	}
}

// kind is a service's name without its shard and its letter.
func kind(service string) string {
	name, _, _ := strings.Cut(service, "-")
	return name
}

// watches says whether both see roles and no role is among them.
func watches(one, other string) bool {
	seeing := []string{"collector", "prometheus"}
	return slices.Contains(seeing, kind(one)) && slices.Contains(seeing, kind(other))
}

func sharesNetwork(one, other types.ServiceConfig) bool {
	for network := range one.Networks {
		if _, shared := other.Networks[network]; shared {
			return true
		}
	}
	return false
}
