{{/*
What of a running release cannot be changed in place. It is refused before anything is changed, with the command that goes first.
Without a cluster, as in `helm template`, nothing is known and nothing refused.
*/}}
{{- define "vigie.live" -}}
{{- $root := . }}
{{- $full := include "vigie.fullname" . }}
{{- $namespace := .Release.Namespace }}
{{- $faults := list }}
{{- $wanted := dict }}
{{- range $set := .Values.matcher.sets }}
{{- $persistence := mergeOverwrite (deepCopy $root.Values.matcher.persistence) (deepCopy (default dict $set.persistence)) }}
{{- range $shard := until (include "vigie.shardGroups" (dict "root" $root "set" $set) | int) }}
{{- $wanted = set $wanted (printf "%s-matcher-%s-%d" $full $set.name $shard) (dict "at" "matcher.persistence" "claims" $persistence.enabled "size" $persistence.size "class" $persistence.storageClass) }}
{{- end }}
{{- end }}
{{- if eq .Values.bank.store "sqlite" }}
{{- $sqlite := .Values.bank.sqlite }}
{{- $wanted = set $wanted (printf "%s-bank" $full) (dict "at" "bank.sqlite" "claims" (not $sqlite.existingClaim) "size" $sqlite.size "class" $sqlite.storageClass) }}
{{- end }}
{{- range $live := (default dict (lookup "apps/v1" "StatefulSet" $namespace "")).items }}
{{- $want := get $wanted $live.metadata.name }}
{{- if and $want (eq (dig "labels" "app.kubernetes.io/instance" "" $live.metadata) $root.Release.Name) }}
{{- $set := $live.metadata.name }}
{{- $claims := default list $live.spec.volumeClaimTemplates }}
{{- $delete := printf "kubectl delete statefulset %s --namespace %s --cascade=orphan" $set $namespace }}
{{- if ne (gt (len $claims) 0) $want.claims }}
{{- $faults = append $faults (printf "%s: whether %s makes claims of its own cannot be changed in place. First: %s" $want.at $set $delete) }}
{{- else if $claims }}
{{- $claim := (first $claims).spec }}
{{- if ne (include "vigie.bytes" $claim.resources.requests.storage) (include "vigie.bytes" $want.size) }}
{{- $faults = append $faults (printf "%s.size: the claims of %s are made for %s, and cannot be changed to %v in place. First: helm/vigie/scripts/resize-volumes %s %s %v" $want.at $set $claim.resources.requests.storage $want.size $namespace $set $want.size) }}
{{- end }}
{{- if and $want.class (ne $want.class (default "" $claim.storageClassName)) }}
{{- $faults = append $faults (printf "%s.storageClass: the claims of %s are of the class %q, and a claim keeps its class. Use another set of matchers, or a new claim for the bank (the README: Volumes)" $want.at $set (default "" $claim.storageClassName)) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- $service := default dict (lookup "v1" "Service" $namespace (printf "%s-bank" $full)) }}
{{- with dig "spec" "clusterIP" "" $service }}
{{- if ne . "None" }}
{{- $faults = append $faults (printf "bank: the Service %s-bank has an address of its own, which this version takes away, and which cannot be changed in place. First: kubectl delete service %s-bank --namespace %s" $full $full $namespace) }}
{{- end }}
{{- end }}
{{- if $faults }}
{{- fail (printf "the release cannot be changed like that:\n- %s" (join "\n- " $faults)) }}
{{- end }}
{{- end }}
