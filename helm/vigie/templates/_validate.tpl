{{/* What a schema cannot say. Every fault is told at once. */}}
{{- define "vigie.validate" -}}
{{- $faults := list }}
{{- $bank := .Values.bank }}
{{- if and (eq $bank.store "sqlite") (ne (int $bank.replicas) 1) }}
{{- $faults = append $faults "bank.replicas: one bank at a time runs on a file; more of them need bank.store=postgres" }}
{{- end }}
{{- if eq $bank.store "postgres" }}
{{- if not $bank.postgres.existingSecret }}
{{- $faults = append $faults "bank.postgres.existingSecret: must name the Secret that holds the password or the URL" }}
{{- end }}
{{- if and (not $bank.postgres.urlKey) (not $bank.postgres.host) }}
{{- $faults = append $faults "bank.postgres.host: is missing" }}
{{- end }}
{{- end }}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.enabled) }}
{{- $faults = append $faults "tls.certManager: is enabled, and tls is not" }}
{{- end }}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuer.name) }}
{{- $faults = append $faults "tls.certManager.issuer.name: is missing" }}
{{- end }}
{{- $frontend := .Values.frontend }}
{{- $frontends := int (ternary $frontend.autoscaling.maxReplicas $frontend.replicas $frontend.autoscaling.enabled) }}
{{- if lt (int $frontend.autoscaling.maxReplicas) (int $frontend.autoscaling.minReplicas) }}
{{- $faults = append $faults "frontend.autoscaling: maxReplicas is less than minReplicas" }}
{{- end }}
{{- $names := list }}
{{- range .Values.matcher.sets }}
{{- if has .name $names }}
{{- $faults = append $faults (printf "matcher.sets: two are called %s" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- $config := mergeOverwrite (deepCopy $.Values.matcher.config) (deepCopy (default dict .config)) }}
{{- range (list "shard" "shard_count" "replica") }}
{{- if hasKey $config . }}
{{- $faults = append $faults (printf "matcher.config.%s: follows from matcher.sets" .) }}
{{- end }}
{{- end }}
{{- if $frontend.embeddedCoordinator }}
{{- $watchers := int (default 64 (get $config "watchers_max")) }}
{{- /* A quarter more while they are rolled. */}}
{{- $coordinators := add (ceil (mulf $frontends 1.25)) (ternary (add 1 (int $.Values.coordinator.replicas)) 0 $.Values.coordinator.enabled) }}
{{- if gt (int $coordinators) $watchers }}
{{- $faults = append $faults (printf "matcher.config.watchers_max: is %d, and %d coordinators may watch, those in the frontends included" $watchers (int $coordinators)) }}
{{- end }}
{{- end }}
{{- end }}
{{- if $faults }}
{{- fail (printf "the values have faults:\n- %s" (join "\n- " $faults)) }}
{{- end }}
{{- end }}
