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
{{- with .Values.image }}
{{- if and .ffmpeg .digest (not .ffmpegDigest) }}
{{- $faults = append $faults "image.ffmpegDigest: is missing; image.digest is that of the image without ffmpeg" }}
{{- end }}
{{- if and .ffmpegDigest (not .ffmpeg) }}
{{- $faults = append $faults "image.ffmpegDigest: has no effect without image.ffmpeg" }}
{{- end }}
{{- if and .ffmpeg (hasSuffix "-ffmpeg" .tag) }}
{{- $faults = append $faults "image.tag: is that of the image without ffmpeg; image.ffmpeg adds -ffmpeg to it for frontends" }}
{{- end }}
{{- end }}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.enabled) }}
{{- $faults = append $faults "tls.certManager: is enabled, and tls is not" }}
{{- end }}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuer.name) }}
{{- $faults = append $faults "tls.certManager.issuer.name: is missing" }}
{{- end }}
{{- if eq $bank.store "postgres" }}
{{- with $bank.postgres.tls }}
{{- if and .mode $bank.postgres.urlKey }}
{{- $faults = append $faults "bank.postgres.tls.mode: has no effect with urlKey; write sslmode into the URL" }}
{{- end }}
{{- if and .mode (contains "sslmode=" $bank.postgres.parameters) }}
{{- $faults = append $faults "bank.postgres.parameters: say sslmode, and so does bank.postgres.tls.mode" }}
{{- end }}
{{- if ne (eq .certificateKey "") (eq .keyKey "") }}
{{- $faults = append $faults "bank.postgres.tls: certificateKey and keyKey belong together" }}
{{- end }}
{{- if and .certificateKey (not .existingSecret) }}
{{- $faults = append $faults "bank.postgres.tls.existingSecret: must name the Secret with the certificate" }}
{{- end }}
{{- if and (eq .mode "verify-ca") (not .existingSecret) }}
{{- $faults = append $faults "bank.postgres.tls.existingSecret: must name the Secret with the one authority that verify-ca trusts" }}
{{- end }}
{{- end }}
{{- end }}
{{- if $bank.backup.enabled }}
{{- if not $bank.backup.claim }}
{{- $faults = append $faults "bank.backup.claim: must name the claim for the copies" }}
{{- end }}
{{- if and (eq $bank.store "postgres") (not $bank.backup.postgresImage) }}
{{- $faults = append $faults "bank.backup.postgresImage: must name an image with pg_dump of the server's version" }}
{{- end }}
{{- if and (eq $bank.store "sqlite") (has "ReadWriteOncePod" $bank.sqlite.accessModes) }}
{{- $faults = append $faults "bank.sqlite.accessModes: ReadWriteOncePod keeps the backup away from the store; use ReadWriteOnce" }}
{{- end }}
{{- end }}
{{- if $bank.restore.file }}
{{- if not (or $bank.restore.claim $bank.backup.claim) }}
{{- $faults = append $faults "bank.restore.claim: must name the claim with the copy" }}
{{- end }}
{{- if and (eq $bank.store "sqlite") (not $bank.sqlite.existingClaim) }}
{{- $faults = append $faults "bank.sqlite.existingClaim: must name a new, empty claim to restore into" }}
{{- end }}
{{- if and (eq $bank.store "postgres") (not $bank.backup.postgresImage) }}
{{- $faults = append $faults "bank.backup.postgresImage: must name an image with pg_restore of the server's version" }}
{{- end }}
{{- end }}
{{- $own := include "vigie.reservedLabels" . | fromYamlArray }}
{{- range (list "VIGIE_LOG" "VIGIE_LOG_FORMAT" "VIGIE__MATCHER__SHARD" "VIGIE__MATCHER__REPLICA") }}{{ $own = append $own . }}{{ end }}
{{- if eq $bank.store "postgres" }}{{ $own = append $own (ternary "VIGIE__BANK__STORE" "PGPASSWORD" (ne $bank.postgres.urlKey "")) }}{{ end }}
{{- range $key, $value := .Values.commonLabels }}
{{- if has $key $own }}{{ $faults = append $faults (printf "commonLabels.%s: is a label that the chart itself sets" $key) }}{{ end }}
{{- end }}
{{- if hasKey .Values.podAnnotations "checksum/config" }}{{ $faults = append $faults "podAnnotations.checksum/config: is an annotation that the chart itself sets" }}{{ end }}
{{- if and .Values.classifier.enabled (not .Values.classifier.config.models) (not .Values.classifier.config.servers) }}
{{- $faults = append $faults "classifier.config: names no model in a file (models) and none of an inference server (servers)" }}
{{- end }}
{{- $accounts := list }}
{{- range $role := (list "frontend" "coordinator" "matcher" "bank" "gateway" "exchange" "classifier") }}
{{- $values := get $.Values $role }}
{{- range $key, $value := $values.podLabels }}
{{- if has $key $own }}{{ $faults = append $faults (printf "%s.podLabels.%s: is a label that the chart itself sets" $role $key) }}{{ end }}
{{- end }}
{{- if hasKey $values.podAnnotations "checksum/config" }}{{ $faults = append $faults (printf "%s.podAnnotations.checksum/config: is an annotation that the chart itself sets" $role) }}{{ end }}
{{- $variables := $own }}
{{- range $values.extraEnv }}
{{- if has .name $variables }}{{ $faults = append $faults (printf "%s.extraEnv: %s is said twice, or by the chart itself" $role .name) }}{{ end }}
{{- $variables = append $variables .name }}
{{- end }}
{{- $containers := list $role "config-check" }}
{{- range concat $values.initContainers $values.sidecars }}
{{- if has .name $containers }}{{ $faults = append $faults (printf "%s: two containers are called %s" $role .name) }}{{ end }}
{{- $containers = append $containers .name }}
{{- end }}
{{- $volumes := list "config" "tls" "data" "tmp" "postgres-tls" "consortium" "credentials" "files" }}
{{- range $values.extraVolumes }}
{{- if has .name $volumes }}{{ $faults = append $faults (printf "%s.extraVolumes: a volume is called %s already" $role .name) }}{{ end }}
{{- $volumes = append $volumes .name }}
{{- end }}
{{- range $values.extraVolumeMounts }}
{{- if not (has .name $volumes) }}{{ $faults = append $faults (printf "%s.extraVolumeMounts: no volume is called %s" $role .name) }}{{ end }}
{{- end }}
{{- range $values.tolerations }}
{{- if and (eq (default "Equal" .operator) "Exists") .value }}{{ $faults = append $faults (printf "%s.tolerations: %s has a value, and the operator Exists takes none" $role (default "one" .key)) }}{{ end }}
{{- if and (eq (default "Equal" .operator) "Equal") (not .key) }}{{ $faults = append $faults (printf "%s.tolerations: one has no key, which needs the operator Exists" $role) }}{{ end }}
{{- end }}
{{- range $resource, $least := default dict $values.resources.requests }}
{{- $most := get (default dict $values.resources.limits) $resource }}
{{- if and $most (gt (include "vigie.bytes" $least | float64) (include "vigie.bytes" $most | float64)) }}
{{- $faults = append $faults (printf "%s.resources: %v of %s are requested, and the limit is %v" $role $least $resource $most) }}
{{- end }}
{{- end }}
{{- if has (toString $values.maxUnavailable) (list "0" "0%") }}
{{- $faults = append $faults (printf "%s.maxUnavailable: 0 keeps every node with such a pod from being drained for ever; use 1, and more replicas" $role) }}
{{- end }}
{{- if and $.Values.serviceAccount.create $values.serviceAccount.name }}
{{- if has $values.serviceAccount.name $accounts }}{{ $faults = append $faults (printf "%s.serviceAccount.name: %s is another role's account" $role $values.serviceAccount.name) }}{{ end }}
{{- $accounts = append $accounts $values.serviceAccount.name }}
{{- end }}
{{- if and (not $.Values.serviceAccount.create) $values.serviceAccount.annotations }}
{{- $faults = append $faults (printf "%s.serviceAccount.annotations: serviceAccount.create is false, so there is no account to annotate" $role) }}
{{- end }}
{{- end }}
{{- range $role, $peers := dict "frontend" "platforms" "gateway" "httpClients" }}
{{- $service := (get $.Values $role).service }}
{{- $scaling := (get $.Values $role).autoscaling }}
{{- if lt (int $scaling.maxReplicas) (int $scaling.minReplicas) }}
{{- $faults = append $faults (printf "%s.autoscaling: maxReplicas is less than minReplicas" $role) }}
{{- end }}
{{- if eq $service.type "ClusterIP" }}
{{- range (list "externalTrafficPolicy" "loadBalancerClass") }}
{{- if get $service . }}{{ $faults = append $faults (printf "%s.service.%s: has no effect with type ClusterIP" $role .) }}{{ end }}
{{- end }}
{{- end }}
{{- if and (ne $service.type "LoadBalancer") $service.loadBalancerSourceRanges }}
{{- $faults = append $faults (printf "%s.service.loadBalancerSourceRanges: has no effect with type %s" $role $service.type) }}
{{- end }}
{{- if and $.Values.networkPolicy.enabled (ne $service.type "ClusterIP") (or (ne $role "gateway") $.Values.gateway.enabled) }}
{{- $blocks := false }}
{{- range get $.Values.networkPolicy $peers }}{{ if .ipBlock }}{{ $blocks = true }}{{ end }}{{ end }}
{{- if not $blocks }}
{{- $faults = append $faults (printf "networkPolicy.%s: names no ipBlock, so what comes by the Service of type %s would be refused" $peers $service.type) }}
{{- end }}
{{- end }}
{{- end }}
{{- if and (eq .Values.ipFamilyPolicy "SingleStack") (gt (len .Values.ipFamilies) 1) }}
{{- $faults = append $faults "ipFamilies: are two, and ipFamilyPolicy is SingleStack" }}
{{- end }}
{{- $tls := .Values.tls }}
{{- if and $tls.enabled (not $tls.certManager.enabled) (not $tls.existingSecret) }}
{{- range append (include "vigie.roles" . | fromYamlArray) "client" }}
{{- if not (get $tls.existingSecrets .) }}{{ $faults = append $faults (printf "tls.existingSecret: names no Secret, tls.existingSecrets.%s none either, and tls.certManager is not enabled" .) }}{{ end }}
{{- end }}
{{- end }}
{{- if and $tls.certManager.enabled (or $tls.existingSecret $tls.existingSecrets) }}
{{- $faults = append $faults "tls.certManager: is enabled, and tls.existingSecret or existingSecrets names Secrets beside it" }}
{{- end }}
{{- if gt (len .Values.clusterDomain) 100 }}
{{- $faults = append $faults "clusterDomain: has more than 100 characters" }}
{{- end }}
{{- $frontend := .Values.frontend }}
{{- $frontends := int (ternary $frontend.autoscaling.maxReplicas $frontend.replicas $frontend.autoscaling.enabled) }}
{{- $names := list }}
{{- range .Values.matcher.sets }}
{{- if has .name $names }}
{{- $faults = append $faults (printf "matcher.sets: two are called %s" .name) }}
{{- end }}
{{- $names = append $names .name }}
{{- $config := mergeOverwrite (deepCopy $.Values.matcher.config) (deepCopy (default dict .config)) }}
{{- $served := include "vigie.shardsServed" (dict "root" $ "set" .) | int }}
{{- if mod (int .shardCount) $served }}
{{- $faults = append $faults (printf "matcher.sets: the matchers of %s serve %d shards each (shardsServed), which does not divide its shardCount, %d" .name $served (int .shardCount)) }}
{{- end }}
{{- range (list "shard" "shard_count" "shards_served" "replica") }}
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
{{- if and .Values.exchange.credentials.members (not .Values.consortium.enabled) }}
{{- $faults = append $faults "exchange.credentials.members: have no effect, since consortium.enabled is false" }}
{{- end }}
{{- $members := list }}
{{- range .Values.exchange.credentials.members }}
{{- if has .member $members }}{{ $faults = append $faults (printf "exchange.credentials.members: %s is named twice" .member) }}{{ end }}
{{- $members = append $members .member }}
{{- end }}
{{- $exchange := .Values.exchange }}
{{- if and (hasKey $exchange.config "credentials_folder") (include "vigie.credentialSources" . | fromYamlArray) }}
{{- $faults = append $faults "exchange.config.credentials_folder: is another folder than that of exchange.credentials; use one of the two" }}
{{- end }}
{{- if and (hasKey $exchange.config "files_folder") $exchange.files.existingClaim }}
{{- $faults = append $faults "exchange.config.files_folder: is another folder than that of exchange.files.existingClaim; use one of the two" }}
{{- end }}
{{- $faults = concat $faults (include "vigie.routeFaults" . | fromYamlArray) (include "vigie.gatewayFaults" . | fromYamlArray) (include "vigie.consoleFaults" . | fromYamlArray) (include "vigie.consortiumFaults" . | fromYamlArray) }}
{{- if $faults }}
{{- fail (printf "the values have faults:\n- %s" (join "\n- " $faults)) }}
{{- end }}
{{- end }}
