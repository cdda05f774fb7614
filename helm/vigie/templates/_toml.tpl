{{/*
A free map of the values as TOML: plain keys first, then each table. Every key that the binary knows can so be set, and the
chart need not know it. What TOML has no word for is refused.

{{ include "vigie.toml" (dict "at" "bank" "map" $map) }}
*/}}
{{- define "vigie.toml" -}}
[{{ .at }}]
{{ range $key, $value := .map }}{{ if not (or (kindIs "map" $value) (kindIs "invalid" $value)) -}}
{{ include "vigie.toml.key" $key }} = {{ include "vigie.toml.value" (dict "at" (printf "%s.%s" $.at $key) "value" $value) }}
{{ end }}{{ end }}
{{- range $key, $value := .map }}{{ if kindIs "map" $value }}
{{ include "vigie.toml" (dict "at" (printf "%s.%s" $.at (include "vigie.toml.key" $key)) "map" $value) }}
{{- end }}{{ end }}
{{- end }}

{{- define "vigie.toml.key" -}}
{{ if regexMatch "^[A-Za-z0-9_-]+$" . }}{{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{/*
One value. Helm reads every number of a file as a float, and prints 268435456 as 2.68435456e+08: numbers without a
fraction are printed as such. JSON's texts are TOML's.
*/}}
{{- define "vigie.toml.value" -}}
{{- if typeIs "json.Number" .value }}{{ .value }}
{{- else if kindIs "string" .value }}{{ toRawJson .value }}
{{- else if kindIs "bool" .value }}{{ .value }}
{{- else if kindIs "float64" .value }}{{ if eq (floor .value) .value }}{{ printf "%.0f" .value }}{{ else }}{{ toJson .value }}{{ end }}
{{- else if or (kindIs "int" .value) (kindIs "int64" .value) }}{{ printf "%d" .value }}
{{- else if kindIs "slice" .value }}[{{ range $index, $one := .value }}{{ if $index }}, {{ end }}{{ include "vigie.toml.value" (dict "at" $.at "value" $one) }}{{ end }}]
{{- else if kindIs "map" .value }}{{ include "vigie.toml.inline" . }}
{{- else }}{{ fail (printf "%s: the configuration cannot hold a %s here" .at (kindOf .value)) }}
{{- end }}
{{- end }}

{{/* A map of a list, as an inline table. */}}
{{- define "vigie.toml.inline" -}}
{{- $pairs := list }}
{{- range $key, $value := .value }}
{{- $at := printf "%s.%s" $.at $key }}
{{- $pairs = append $pairs (printf "%s = %s" (include "vigie.toml.key" $key) (include "vigie.toml.value" (dict "at" $at "value" $value))) }}
{{- end }}{ {{- join ", " $pairs | printf " %s " -}} }
{{- end }}
