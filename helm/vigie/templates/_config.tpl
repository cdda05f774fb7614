{{/*
The file of one role. What the chart knows comes first, and what the values say of the role overrules it.
(dict "root" $ "component" "bank" "tables" (dict "bank" $config))
*/}}
{{- define "vigie.config" -}}
{{- $values := .root.Values -}}
{{- with include "vigie.port" .component | trim -}}
listen = {{ printf "%s:%s" $values.listenAddress . | toJson }}
{{ end -}}
allow_plaintext = {{ or (not $values.tls.enabled) $values.tls.allowPlaintext }}

{{ range $name, $table := .tables }}
{{- include "vigie.toml" (dict "at" $name "map" $table) }}
{{ end -}}
{{- include "vigie.toml" (dict "at" "telemetry" "map" (merge (dict "listen" (printf "%s:9464" $values.listenAddress)) (dict "otlp_endpoint" $values.telemetry.otlpEndpoint) $values.telemetry.config)) }}
{{- if $values.tls.enabled }}
{{ include "vigie.toml" (dict "at" "tls" "map" (merge (deepCopy (get $values .component).tlsConfig) (dict "certificate" "/etc/vigie/tls/tls.crt" "key" "/etc/vigie/tls/tls.key" "ca" "/etc/vigie/tls/ca.crt" "client_certificates" $values.tls.clientCertificates) $values.tls.config)) }}
{{- end }}
{{- end }}

{{/* What a coordinator is told, as YAML; a frontend with an embedded one is told the same. */}}
{{- define "vigie.coordinatorConfig" -}}
{{- $root := . }}
{{- $endpoints := list }}
{{- range .Values.matcher.sets }}
{{- $name := printf "%s-matcher-%s" (include "vigie.fullname" $root) .name }}
{{- $endpoints = append $endpoints (printf "dns+%s://%s:7750" (include "vigie.scheme" $root) (include "vigie.host" (dict "root" $root "name" $name))) }}
{{- end }}
{{- mergeOverwrite (dict "matchers" $endpoints) (include "vigie.consortiumConfig" (dict "root" . "component" "coordinator") | fromYaml) (deepCopy .Values.coordinator.config) | toYaml }}
{{- end }}

{{/* What a frontend is told, as YAML. */}}
{{- define "vigie.frontendConfig" -}}
{{- $root := . }}
{{- $coordinator := "embedded" }}
{{- if not .Values.frontend.embeddedCoordinator }}
{{- $coordinator = list }}
{{- range $index := until (int .Values.frontend.coordinatorConnections) }}
{{- $coordinator = append $coordinator (printf "%s://%s:%d" (include "vigie.scheme" $root) (include "vigie.host" (dict "root" $root "name" (printf "%s-coordinator" (include "vigie.fullname" $root)))) (add 7741 (mul 1000 $index))) }}
{{- end }}
{{- end }}
{{- $config := deepCopy .Values.frontend.config }}
{{- if and .Values.image.ffmpeg (not $config.ffmpeg) }}{{ $config = set $config "ffmpeg" "/usr/bin/ffmpeg" }}{{ end }}
{{- $known := dict "coordinator" $coordinator }}
{{- if .Values.classifier.enabled }}{{ $known = set $known "classifiers" (dict "endpoints" (list (include "vigie.classifierUrl" .))) }}{{ end }}
{{- mergeOverwrite $known (include "vigie.consortiumConfig" (dict "root" . "component" "frontend") | fromYaml) $config | toYaml }}
{{- end }}

{{/* What a gateway is told, as YAML. */}}
{{- define "vigie.gatewayConfig" -}}
{{- $role := .Values.gateway }}
{{- $frontends := list }}
{{- /* The same Service as often as there are to be connections. */}}
{{- range until (int $role.frontendConnections) }}{{ $frontends = append $frontends (include "vigie.frontendUrl" $) }}{{ end }}
{{- $known := dict "frontend" $frontends "directory" (dict "bank" (list (include "vigie.bankUrl" .))) }}
{{- if include "vigie.hasCoordinators" . }}{{ $known = set $known "coordinator" (list (include "vigie.coordinatorUrl" .)) }}{{ end }}
{{- $name := printf "%s-gateway" (include "vigie.fullname" .) }}
{{- $hosts := list $name (printf "%s.%s" $name .Release.Namespace) (printf "%s.%s.svc" $name .Release.Namespace) (include "vigie.host" (dict "root" . "name" $name)) }}
{{- if $role.ingress.enabled }}
{{- range $role.ingress.hosts }}{{ if not (hasPrefix "*" .) }}{{ $hosts = append $hosts . }}{{ end }}{{ end }}
{{- end }}
{{- $hosts = concat $hosts .Values.tls.certManager.gatewayNames (default list $role.config.hosts) | uniq }}
{{- /* Links in answers have the scheme that clients use, which is not the gateway's where the Ingress ends TLS. */}}
{{- range $role.ingress.tls }}
{{- range .hosts }}
{{- if and $role.ingress.enabled (not (hasPrefix "*" .)) (not (hasKey $known "public_url")) }}{{ $known = set $known "public_url" (printf "https://%s" .) }}{{ end }}
{{- end }}
{{- end }}
{{- $known = set $known "console" (include "vigie.consoleConfig" . | fromYaml) }}
{{- /* Names are added to those of the chart, and replace none. */}}
{{- mergeOverwrite $known (include "vigie.consortiumConfig" (dict "root" . "component" "gateway") | fromYaml) (deepCopy $role.config) (dict "hosts" $hosts) | toYaml }}
{{- end }}

{{/* What a classifier is told, as YAML. */}}
{{- define "vigie.classifierConfig" -}}
{{- mergeOverwrite (include "vigie.consortiumConfig" (dict "root" . "component" "classifier") | fromYaml) (deepCopy .Values.classifier.config) | toYaml }}
{{- end }}

{{/* What an exchange process is told, as YAML. */}}
{{- define "vigie.exchangeConfig" -}}
{{- $role := .Values.exchange }}
{{- $known := dict "bank" (list (include "vigie.bankUrl" .)) }}
{{- if include "vigie.credentialSources" . | fromYamlArray }}{{ $known = set $known "credentials_folder" "/etc/vigie/credentials" }}{{ end }}
{{- if $role.files.existingClaim }}{{ $known = set $known "files_folder" "/var/lib/vigie/files" }}{{ end }}
{{- mergeOverwrite $known (include "vigie.consortiumConfig" (dict "root" . "component" "exchange") | fromYaml) (deepCopy $role.config) | toYaml }}
{{- end }}

{{/* What the bank is told, as YAML. */}}
{{- define "vigie.bankConfig" -}}
{{- $store := "sqlite:/var/lib/vigie/bank.db" }}
{{- if eq .Values.bank.store "postgres" }}
{{- $postgres := .Values.bank.postgres }}
{{- $parameters := list }}
{{- with $postgres.tls }}
{{- if .mode }}{{ $parameters = append $parameters (printf "sslmode=%s" .mode) }}{{ end }}
{{- if and .existingSecret .caKey (hasPrefix "verify" .mode) }}{{ $parameters = append $parameters (printf "sslrootcert=/etc/vigie/postgres/%s" .caKey) }}{{ end }}
{{- if .certificateKey }}{{ $parameters = append $parameters (printf "sslcert=/etc/vigie/postgres/%s&sslkey=/etc/vigie/postgres/%s" .certificateKey .keyKey) }}{{ end }}
{{- end }}
{{- with $postgres.parameters }}{{ $parameters = append $parameters . }}{{ end }}
{{- $parameters = ternary (printf "?%s" (join "&" $parameters)) "" (gt (len $parameters) 0) }}
{{- $store = printf "postgres://%s@%s:%d/%s%s" $postgres.user (default "told-by-the-secret.invalid" $postgres.host) (int $postgres.port) $postgres.database $parameters }}
{{- end }}
{{- $known := dict "store" $store }}
{{- if and .Values.tls.enabled .Values.tls.certManager.enabled }}
{{- /* A certificate's name is its first DNS name. */}}
{{- $known = set $known "matcher_names" (list (printf "%s-matcher-%s" (include "vigie.fullname" .) (first .Values.matcher.sets).name)) }}
{{- end }}
{{- mergeOverwrite $known (include "vigie.consortiumConfig" (dict "root" . "component" "bank") | fromYaml) (deepCopy .Values.bank.config) | toYaml }}
{{- end }}

{{/* How many shards each matcher of a set serves. (dict "root" $ "set" $set) */}}
{{- define "vigie.shardsServed" -}}
{{- int (default .root.Values.matcher.shardsServed .set.shardsServed) }}
{{- end }}

{{/* How many groups the shards of a set are, each with matchers of its own. (dict "root" $ "set" $set) */}}
{{- define "vigie.shardGroups" -}}
{{- div (int .set.shardCount) (include "vigie.shardsServed" . | int) }}
{{- end }}

{{/* What the matchers of a set are told, as YAML; which shard, each pod's environment tells. (dict "root" $ "set" $set) */}}
{{- define "vigie.matcherConfig" -}}
{{- $known := dict "bank" (include "vigie.bankUrl" .root) "index_folder" "/var/lib/vigie/shard" "shard_count" .set.shardCount }}
{{- $served := include "vigie.shardsServed" . | int }}
{{- if gt $served 1 }}{{ $known = set $known "shards_served" $served }}{{ end }}
{{- mergeOverwrite $known (include "vigie.consortiumConfig" (dict "root" .root "component" "matcher") | fromYaml) (deepCopy .root.Values.matcher.config) (deepCopy (default dict .set.config)) | toYaml }}
{{- end }}
