{{/* The console of the gateways: its settings, its secrets, and what is wrong with its values. */}}

{{/* The table `console` of a gateway, as YAML. */}}
{{- define "vigie.consoleConfig" -}}
{{- $console := .Values.gateway.console }}
{{- $config := dict "enabled" $console.enabled }}
{{- if $console.enabled }}
{{- if $console.sessionKey.existingSecret }}{{ $config = set $config "session_key_file" "/etc/vigie/console/session-key" }}{{ end }}
{{- with $console.oidc }}
{{- if .issuer }}
{{- $oidc := dict "issuer" .issuer "client_id" .clientId }}
{{- if .clientSecret.existingSecret }}{{ $oidc = set $oidc "client_secret_file" "/etc/vigie/console/client-secret" }}{{ end }}
{{- if .scopes }}{{ $oidc = set $oidc "scopes" .scopes }}{{ end }}
{{- $config = set $config "oidc" $oidc }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $config }}
{{- end }}

{{/* The secrets of the console as a list of volumes, as YAML: one, or none. */}}
{{- define "vigie.consoleVolumes" -}}
{{- $console := .Values.gateway.console }}
{{- $sources := list }}
{{- range $path, $from := dict "session-key" $console.sessionKey "client-secret" $console.oidc.clientSecret }}
{{- if and $console.enabled $from.existingSecret }}
{{- $sources = append $sources (dict "secret" (dict "name" $from.existingSecret "items" (list (dict "key" $from.key "path" $path)))) }}
{{- end }}
{{- end }}
{{- $volumes := list }}
{{- if $sources }}{{ $volumes = append $volumes (dict "name" "console" "projected" (dict "defaultMode" 288 "sources" $sources)) }}{{ end }}
{{- toYaml $volumes }}
{{- end }}

{{/* Where the gateway finds them, as YAML. */}}
{{- define "vigie.consoleMounts" -}}
{{- $mounts := list }}
{{- if include "vigie.consoleVolumes" . | fromYamlArray }}{{ $mounts = append $mounts (dict "name" "console" "mountPath" "/etc/vigie/console" "readOnly" true) }}{{ end }}
{{- toYaml $mounts }}
{{- end }}

{{/* Whether a role asks identity providers for their keys. (dict "root" $ "component" "bank") */}}
{{- define "vigie.asksProviders" -}}
{{- $config := (get .root.Values .component).config }}
{{- $issuers := dig "access" "credentials" "issuers" list (default dict $config) }}
{{- if or $issuers (and (eq .component "gateway") .root.Values.gateway.console.enabled .root.Values.gateway.console.oidc.issuer) }}true{{ end }}
{{- end }}

{{/* The faults of the values, as a list of YAML. */}}
{{- define "vigie.consoleFaults" -}}
{{- $gateway := .Values.gateway }}
{{- $console := $gateway.console }}
{{- $faults := list }}
{{- if and $gateway.enabled $console.enabled }}
{{- if and (not $console.sessionKey.existingSecret) (or $gateway.autoscaling.enabled (gt (int $gateway.replicas) 1)) }}
{{- $faults = append $faults "gateway.console.sessionKey.existingSecret: names no Secret, and there are several gateways: each would sign people out whom another has signed in" }}
{{- end }}
{{- with $console.oidc }}
{{- if .issuer }}
{{- if not .clientId }}{{ $faults = append $faults "gateway.console.oidc.clientId: is missing, beside issuer" }}{{ end }}
{{- $known := list }}
{{- range (dig "access" "credentials" "issuers" list $gateway.config) }}{{ $known = append $known .issuer }}{{ end }}
{{- if not (has .issuer $known) }}
{{- $faults = append $faults (printf "gateway.console.oidc.issuer: %s is none of gateway.config.access.credentials.issuers, so none of its tokens would be taken" .issuer) }}
{{- end }}
{{- else if or .clientId .clientSecret.existingSecret .scopes }}
{{- $faults = append $faults "gateway.console.oidc.issuer: is missing, beside the other values of gateway.console.oidc" }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $faults }}
{{- end }}
