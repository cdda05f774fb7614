{{/* The name of everything that the release makes. Room is left for what is appended: a pod's name has 63 characters. */}}
{{- define "vigie.fullname" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 32 | trimSuffix "-" }}
{{- else if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 32 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 32 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* What tells the release's pods from others. */}}
{{- define "vigie.selector" -}}
app.kubernetes.io/name: vigie
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* The same for one component: (dict "root" $ "component" "bank") */}}
{{- define "vigie.component" -}}
{{ include "vigie.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The labels of an object: (dict "root" $ "component" "bank") */}}
{{- define "vigie.labels" -}}
{{ include "vigie.component" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Keys that are the chart's own, so that no other label may have them. */}}
{{- define "vigie.reservedLabels" -}}
[app.kubernetes.io/name, app.kubernetes.io/instance, app.kubernetes.io/component, app.kubernetes.io/version, app.kubernetes.io/managed-by, helm.sh/chart, vigie/set, vigie/shard]
{{- end }}

{{/* The address families of a Service. */}}
{{- define "vigie.ipFamilies" -}}
{{- with .Values.ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .Values.ipFamilies }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end }}

{{- define "vigie.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}{{ printf "%s@%s" $image.repository $image.digest }}
{{- else }}{{ printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* The image of a role: (dict "root" $ "component" "frontend") */}}
{{- define "vigie.imageOf" -}}
{{- $image := .root.Values.image }}
{{- if not (and $image.ffmpeg (eq .component "frontend")) }}{{ include "vigie.image" .root }}
{{- else if $image.ffmpegDigest }}{{ printf "%s@%s" $image.repository $image.ffmpegDigest }}
{{- else }}{{ printf "%s:%s-ffmpeg" $image.repository (default .root.Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{- define "vigie.scheme" -}}
{{ ternary "https" "http" .Values.tls.enabled }}
{{- end }}

{{/* A name that every pod of the cluster finds: (dict "root" $ "name" "vigie-bank") */}}
{{- define "vigie.host" -}}
{{ printf "%s.%s.svc.%s" .name .root.Release.Namespace .root.Values.clusterDomain }}
{{- end }}

{{- define "vigie.bankUrl" -}}
{{ include "vigie.scheme" . }}://{{ include "vigie.host" (dict "root" . "name" (printf "%s-bank" (include "vigie.fullname" .))) }}:7742
{{- end }}

{{- define "vigie.frontendUrl" -}}
{{ include "vigie.scheme" . }}://{{ include "vigie.host" (dict "root" . "name" (printf "%s-frontend" (include "vigie.fullname" .))) }}:7740
{{- end }}

{{- define "vigie.coordinatorUrl" -}}
{{ include "vigie.scheme" . }}://{{ include "vigie.host" (dict "root" . "name" (printf "%s-coordinator" (include "vigie.fullname" .))) }}:7741
{{- end }}

{{- define "vigie.gatewayUrl" -}}
{{ include "vigie.scheme" . }}://{{ include "vigie.host" (dict "root" . "name" (printf "%s-gateway" (include "vigie.fullname" .))) }}:7780
{{- end }}

{{- define "vigie.classifierUrl" -}}
{{ include "vigie.scheme" . }}://{{ include "vigie.host" (dict "root" . "name" (printf "%s-classifier" (include "vigie.fullname" .))) }}:7746
{{- end }}

{{/* The port on which a component's pods listen; nothing for one that is called by nobody. */}}
{{- define "vigie.port" -}}
{{- get (dict "frontend" "7740" "coordinator" "7741" "bank" "7742" "matcher" "7750" "gateway" "7780" "classifier" "7746") . }}
{{- end }}

{{/* The Secret of a component's certificate: (dict "root" $ "component" "bank") */}}
{{- define "vigie.tlsSecret" -}}
{{- $tls := .root.Values.tls }}
{{- if $tls.certManager.enabled }}{{ printf "%s-%s-tls" (include "vigie.fullname" .root) .component }}
{{- else }}{{ default $tls.existingSecret (get $tls.existingSecrets .component) }}
{{- end }}
{{- end }}

{{/* The account of a component: (dict "root" $ "component" "bank") */}}
{{- define "vigie.serviceAccount" -}}
{{- $own := (default dict (get (default dict (get .root.Values .component)) "serviceAccount")).name }}
{{- $made := printf "%s-%s" (include "vigie.fullname" .root) .component }}
{{- /* A restore runs before the release's accounts are there. */}}
{{- default (ternary $made "default" (and .root.Values.serviceAccount.create (ne .component "restore"))) $own }}
{{- end }}

{{/* The claim of the embedded store. */}}
{{- define "vigie.bankClaim" -}}
{{- default (printf "data-%s-bank-0" (include "vigie.fullname" .)) .Values.bank.sqlite.existingClaim }}
{{- end }}

{{/* A quantity of Kubernetes in bytes, for comparisons. */}}
{{- define "vigie.bytes" -}}
{{- $text := toString . }}
{{- $units := dict "" 1.0 "m" 0.001 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024.0 "Mi" 1048576.0 "Gi" 1073741824.0 "Ti" 1099511627776.0 }}
{{- printf "%.0f" (mulf (regexFind "^[0-9.]+" $text | float64) (get $units (regexFind "[A-Za-z]*$" $text))) }}
{{- end }}

{{/*
Seconds that a pod gets to stop: what the role itself takes at most, and some more.
(dict "config" $config "more" 15)
*/}}
{{- define "vigie.grace" -}}
{{- $serving := default dict .config.serving }}
{{- $lameDuck := ternary (get $serving "lame_duck_ms") 2000 (hasKey $serving "lame_duck_ms") }}
{{- $drain := ternary (get $serving "drain_ms_max") 10000 (hasKey $serving "drain_ms_max") }}
{{- add (ceil (divf (addf (toString $lameDuck | float64) (toString $drain | float64)) 1000.0)) .more }}
{{- end }}

{{/* Whether coordinators are pods of their own. */}}
{{- define "vigie.hasCoordinators" -}}
{{ if or .Values.coordinator.enabled (not .Values.frontend.embeddedCoordinator) }}true{{ end }}
{{- end }}

{{/* The roles that the release runs, as YAML. */}}
{{- define "vigie.roles" -}}
{{- $roles := list "frontend" "coordinator" "matcher" "bank" }}
{{- if .Values.gateway.enabled }}{{ $roles = append $roles "gateway" }}{{ end }}
{{- if .Values.exchange.enabled }}{{ $roles = append $roles "exchange" }}{{ end }}
{{- if .Values.classifier.enabled }}{{ $roles = append $roles "classifier" }}{{ end }}
{{- toYaml $roles }}
{{- end }}
