{{/* The Service by whose name clients find each frontend. */}}
{{- define "vigie.headlessName" -}}
{{ default (printf "%s-frontend-headless" (include "vigie.fullname" .)) .Values.frontend.headlessService.name }}
{{- end }}

{{/* What contradicts itself in the ways to the frontend, as a list in YAML. */}}
{{- define "vigie.routeFaults" -}}
{{- $faults := list }}
{{- $full := include "vigie.fullname" . }}
{{- $headless := .Values.frontend.headlessService }}
{{- if $headless.enabled }}
{{- $taken := list }}
{{- range (list "frontend" "coordinator" "bank") }}{{ $taken = append $taken (printf "%s-%s" $full .) }}{{ end }}
{{- range .Values.matcher.sets }}{{ $taken = append $taken (printf "%s-matcher-%s" $full .name) }}{{ end }}
{{- if has $headless.name $taken }}
{{- $faults = append $faults (printf "frontend.headlessService.name: %s is another Service of the release" $headless.name) }}
{{- end }}
{{- end }}
{{- $route := .Values.frontend.grpcRoute }}
{{- if and $route.enabled (not $route.parentRefs) }}
{{- $faults = append $faults "frontend.grpcRoute.parentRefs: names no Gateway, so nothing would be routed" }}
{{- end }}
{{- $ingress := .Values.frontend.ingress }}
{{- $tls := .Values.tls.enabled }}
{{- if $ingress.enabled }}
{{- if not $ingress.hosts }}
{{- $faults = append $faults "frontend.ingress.hosts: is empty, so all that reaches the controller under any name would go to the frontend; name the hosts" }}
{{- end }}
{{- range $ingress.tls }}
{{- range .hosts }}
{{- if not (has . $ingress.hosts) }}{{ $faults = append $faults (printf "frontend.ingress.tls: %s is none of frontend.ingress.hosts" .) }}{{ end }}
{{- end }}
{{- end }}
{{- $nginx := "nginx.ingress.kubernetes.io" }}
{{- $protocol := get $ingress.annotations (printf "%s/backend-protocol" $nginx) }}
{{- if eq (get $ingress.annotations (printf "%s/ssl-passthrough" $nginx)) "true" }}
{{- if not $tls }}
{{- $faults = append $faults "frontend.ingress.annotations: ssl-passthrough leaves TLS to the frontend, and tls.enabled is false" }}
{{- end }}
{{- else }}
{{- $needs := ternary "GRPCS" "GRPC" $tls }}
{{- if and (eq $ingress.className "nginx") (not $protocol) }}
{{- $faults = append $faults (printf "frontend.ingress.annotations: nginx speaks HTTP/1 to the frontend unless %s/backend-protocol is %s" $nginx $needs) }}
{{- else if and $protocol (ne (upper $protocol) $needs) (not (and (eq (upper $protocol) "GRPC") .Values.tls.allowPlaintext)) }}
{{- $faults = append $faults (printf "frontend.ingress.annotations: %s/backend-protocol is %s, and the frontend speaks %s (tls.enabled is %v)" $nginx $protocol $needs $tls) }}
{{- end }}
{{- $asked := default .Values.tls.clientCertificates (get .Values.frontend.tlsConfig "client_certificates") }}
{{- if and $tls (eq (upper (toString $protocol)) "GRPCS") (eq $asked "required") (not (get $ingress.annotations (printf "%s/proxy-ssl-secret" $nginx))) }}
{{- $faults = append $faults (printf "frontend.ingress.annotations: the frontend asks for a certificate, and nginx shows none without %s/proxy-ssl-secret; or frontend.tlsConfig.client_certificates=optional" $nginx) }}
{{- end }}
{{- end }}
{{- end }}
{{- $policy := .Values.networkPolicy }}
{{- if and $policy.enabled (not $policy.proxies) }}
{{- range $key, $enabled := dict "grpcRoute" $route.enabled "ingress" $ingress.enabled }}
{{- if $enabled }}
{{- $faults = append $faults (printf "networkPolicy.proxies: names nobody, and frontend.%s needs the pods of its %s there" $key (ternary "Gateway" "controller" (eq $key "grpcRoute"))) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $faults }}
{{- end }}
