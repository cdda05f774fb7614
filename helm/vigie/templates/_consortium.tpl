{{/* Several organisations on one release: how its processes know each other, and what its roles read of it. */}}

{{/* Whether the certificates of the release's processes prove them: then the chart knows their names. */}}
{{- define "vigie.consortiumByName" -}}
{{ if and .Values.consortium.enabled .Values.tls.enabled .Values.tls.certManager.enabled }}true{{ end }}
{{- end }}

{{/*
The names in the certificates of a kind of process, as YAML; a certificate's name is its first DNS name. To coordinators and banks a gateway is
a frontend. (dict "root" $ "component" "matcher" "of" "bank")
*/}}
{{- define "vigie.certificateNames" -}}
{{- $full := include "vigie.fullname" .root }}
{{- if eq .component "matcher" }}
{{- /* All sets share one certificate, whose first name is that of the first set: another one, once that set is taken out. */}}
{{- range .root.Values.matcher.sets }}
- {{ $full }}-matcher-{{ .name }}
{{- end }}
{{- else }}
- {{ $full }}-{{ .component }}
{{- if and (eq .component "frontend") (ne .of "matcher") .root.Values.gateway.enabled }}
- {{ $full }}-gateway
{{- end }}
{{- end }}
{{- end }}

{{/* The keys of a role's table that members add, as YAML. (dict "root" $ "component" "bank") */}}
{{- define "vigie.consortiumConfig" -}}
{{- $root := .root }}
{{- $component := .component }}
{{- $consortium := .root.Values.consortium }}
{{- $config := dict }}
{{- if $consortium.enabled }}
{{- $processes := dict }}
{{- if $consortium.clusterKey.existingSecret }}{{ $processes = set $processes "cluster_key" "/etc/vigie/consortium/cluster-key" }}{{ end }}
{{- if include "vigie.consortiumByName" .root }}
{{- /* Whom the table of rights lets call the role as a process. */}}
{{- $callers := get (dict "bank" (list "frontend" "coordinator" "matcher") "coordinator" (list "frontend") "frontend" list "matcher" list "gateway" list "exchange" list "classifier" (list "frontend")) $component }}
{{- if and (eq $component "bank") $root.Values.exchange.enabled }}{{ $callers = append $callers "exchange" }}{{ end }}
{{- if and (eq $component "bank") $root.Values.classifier.enabled }}{{ $callers = append $callers "classifier" }}{{ end }}
{{- if eq $component "matcher" }}
{{- if include "vigie.hasCoordinators" $root }}{{ $callers = append $callers "coordinator" }}{{ end }}
{{- if $root.Values.frontend.embeddedCoordinator }}{{ $callers = append $callers "frontend" }}{{ end }}
{{- end }}
{{- range $callers }}
{{- $processes = set $processes (printf "%s_names" .) (include "vigie.certificateNames" (dict "root" $root "component" . "of" $component) | fromYamlArray) }}
{{- end }}
{{- end }}
{{- if $processes }}{{ $config = set $config "processes" $processes }}{{ end }}
{{- if and $consortium.pepper.existingSecret (has $component (list "frontend" "coordinator" "bank" "gateway" "classifier")) }}
{{- $config = set $config "access" (dict "pepper" "/etc/vigie/consortium/pepper") }}
{{- end }}
{{- if and $consortium.auditKey.existingSecret (eq $component "bank") }}
{{- $config = set $config "audit" (dict "signing_keys" (list "/etc/vigie/consortium/audit-key")) }}
{{- end }}
{{- if has $component (list "frontend" "coordinator" "gateway" "classifier") }}
{{- $config = set $config "directory" (dict "bank" (list (include "vigie.bankUrl" $root)) "age_ms_max" (int $consortium.directoryAgeMsMax)) }}
{{- end }}
{{- else if and $root.Values.classifier.enabled (has $component (list "frontend" "classifier")) }}
{{- /* The cards of models are in the directory, with members or without. */}}
{{- $config = set $config "directory" (dict "bank" (list (include "vigie.bankUrl" $root))) }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* The secrets of a role as sources of one volume, as YAML; nothing where it has none. (dict "root" $ "component" "bank") */}}
{{- define "vigie.consortiumSources" -}}
{{- $consortium := .root.Values.consortium }}
{{- if $consortium.enabled }}
{{- with $consortium.clusterKey }}{{ if .existingSecret }}
- secret: {name: {{ .existingSecret }}, items: [{key: {{ .key }}, path: cluster-key}]}
{{- end }}{{ end }}
{{- if has .component (list "frontend" "coordinator" "bank" "gateway" "classifier") }}
{{- with $consortium.pepper }}{{ if .existingSecret }}
- secret: {name: {{ .existingSecret }}, items: [{key: {{ .key }}, path: pepper}]}
{{- end }}{{ end }}
{{- end }}
{{- if eq .component "bank" }}
{{- with $consortium.auditKey }}{{ if .existingSecret }}
- secret: {name: {{ .existingSecret }}, items: [{key: {{ .key }}, path: audit-key}]}
{{- end }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The faults of the values, as a list of YAML. */}}
{{- define "vigie.consortiumFaults" -}}
{{- $consortium := .Values.consortium }}
{{- $faults := list }}
{{- $byKey := ne $consortium.clusterKey.existingSecret "" }}
{{- $servers := list "matcher" "bank" }}
{{- if include "vigie.hasCoordinators" . }}{{ $servers = append $servers "coordinator" }}{{ end }}
{{- if $consortium.enabled }}
{{- if and (not $byKey) (not (include "vigie.consortiumByName" .)) }}
{{- range $servers }}
{{- if not (get (get $.Values .) "config").processes }}
{{- $faults = append $faults (printf "consortium.clusterKey.existingSecret: names no Secret, tls.certManager is not enabled, and %s.config.processes names nobody: nothing proves the release's processes to each other" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (not $byKey) .Values.tls.enabled }}
{{- range $servers }}
{{- if eq (default $.Values.tls.clientCertificates (get (get $.Values .).tlsConfig "client_certificates")) "none" }}
{{- $faults = append $faults (printf "consortium.clusterKey.existingSecret: names no Secret, and a %s asks nobody for a certificate (tls.clientCertificates is none), so no process can prove itself to it" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- with $consortium.pepper }}
{{- if and .existingSecret (eq .existingSecret $consortium.clusterKey.existingSecret) (eq .key $consortium.clusterKey.key) }}
{{- $faults = append $faults "consortium.pepper: is the cluster key itself; matchers have that, and the pepper is for the bank, coordinators, frontends and gateways alone" }}
{{- end }}
{{- end }}
{{- if and .Values.loadtest.enabled (not $consortium.clientKey.existingSecret) }}
{{- $faults = append $faults "consortium.clientKey.existingSecret: names no Secret, and loadtest.enabled needs an API key to call with" }}
{{- end }}
{{- else }}
{{- range (list "clusterKey" "pepper" "auditKey" "clientKey") }}
{{- if (get $consortium .).existingSecret }}{{ $faults = append $faults (printf "consortium.%s.existingSecret: has no effect, since consortium.enabled is false" .) }}{{ end }}
{{- end }}
{{- range (list "frontend" "coordinator") }}
{{- if (default dict (get $.Values .).config.directory).bank }}
{{- $faults = append $faults (printf "%s.config.directory.bank: consortium.enabled is false, so no network policy lets a %s reach the bank; consortium.enabled sets both" . .) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $faults }}
{{- end }}
