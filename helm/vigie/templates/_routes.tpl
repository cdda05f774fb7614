{{/* An Ingress to a role: (dict "root" $ "name" "vigie-frontend" "component" "frontend" "ingress" $ingress "portName" "grpc") */}}
{{- define "vigie.ingress" -}}
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "vigie.labels" . | nindent 4 }}
  {{- with .ingress.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- with .ingress.className }}
  ingressClassName: {{ . }}
  {{- end }}
  {{- with .ingress.tls }}
  tls:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  rules:
    {{- range .ingress.hosts }}
    - host: {{ . | quote }}
      http:
        paths:
          - path: /
            pathType: Prefix
            backend:
              service:
                name: {{ $.name }}
                port: {name: {{ $.portName }}}
    {{- end }}
{{- end }}

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
{{- range (list "frontend" "coordinator" "bank" "gateway") }}{{ $taken = append $taken (printf "%s-%s" $full .) }}{{ end }}
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
{{- $faults = concat $faults (include "vigie.ingressFaults" (dict "role" "frontend" "ingress" $ingress) | fromYamlArray) }}
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

{{/* What contradicts itself in the hosts of an Ingress, as a list in YAML: (dict "role" "frontend" "ingress" $ingress) */}}
{{- define "vigie.ingressFaults" -}}
{{- $role := .role }}
{{- $ingress := .ingress }}
{{- $faults := list }}
{{- if not $ingress.hosts }}
{{- $faults = append $faults (printf "%s.ingress.hosts: is empty, so all that reaches the controller under any name would go to the %s; name the hosts" $role $role) }}
{{- end }}
{{- range $ingress.tls }}
{{- range .hosts }}
{{- if not (has . $ingress.hosts) }}{{ $faults = append $faults (printf "%s.ingress.tls: %s is none of %s.ingress.hosts" $role . $role) }}{{ end }}
{{- end }}
{{- end }}
{{- toYaml $faults }}
{{- end }}

{{/* What contradicts itself in the ways to the gateway, as a list in YAML. */}}
{{- define "vigie.gatewayFaults" -}}
{{- $faults := list }}
{{- $gateway := .Values.gateway }}
{{- if $gateway.enabled }}
{{- $tls := .Values.tls.enabled }}
{{- $asked := default .Values.tls.clientCertificates (get $gateway.tlsConfig "client_certificates") }}
{{- if and (hasKey $gateway.config "api_key_file") (not (and $tls (eq $asked "required"))) }}
{{- $faults = append $faults "gateway.config.api_key_file: whoever reaches the gateway would act for its principal, unless tls.enabled, and gateway.tlsConfig.client_certificates is required" }}
{{- end }}
{{- $ingress := $gateway.ingress }}
{{- if $ingress.enabled }}
{{- $faults = concat $faults (include "vigie.ingressFaults" (dict "role" "gateway" "ingress" $ingress) | fromYamlArray) }}
{{- $nginx := "nginx.ingress.kubernetes.io" }}
{{- $protocol := upper (default "HTTP" (get $ingress.annotations (printf "%s/backend-protocol" $nginx))) }}
{{- $passes := eq (get $ingress.annotations (printf "%s/ssl-passthrough" $nginx)) "true" }}
{{- if and $passes (not $tls) }}
{{- $faults = append $faults "gateway.ingress.annotations: ssl-passthrough leaves TLS to the gateway, and tls.enabled is false" }}
{{- else if and (eq $ingress.className "nginx") (not $passes) }}
{{- if not (or (eq $protocol (ternary "HTTPS" "HTTP" $tls)) (and (eq $protocol "HTTP") .Values.tls.allowPlaintext)) }}
{{- $faults = append $faults (printf "gateway.ingress.annotations: %s/backend-protocol is %s, and the gateway speaks %s (tls.enabled is %v)" $nginx $protocol (ternary "HTTPS" "HTTP" $tls) $tls) }}
{{- else if and (eq $protocol "HTTPS") (eq $asked "required") (not (get $ingress.annotations (printf "%s/proxy-ssl-secret" $nginx))) }}
{{- $faults = append $faults (printf "gateway.ingress.annotations: the gateway asks for a certificate, and nginx shows none without %s/proxy-ssl-secret; or gateway.tlsConfig.client_certificates=optional" $nginx) }}
{{- end }}
{{- end }}
{{- end }}
{{- $policy := .Values.networkPolicy }}
{{- if and $policy.enabled (not $policy.httpClients) }}
{{- $faults = append $faults "networkPolicy.httpClients: names nobody, so no client would reach the gateway; name its clients, or the controller of gateway.ingress" }}
{{- end }}
{{- $fetch := default dict $gateway.config.fetch }}
{{- if and $policy.enabled $fetch.enabled $fetch.private_hosts (not $policy.fetch) }}
{{- $faults = append $faults "gateway.config.fetch.private_hosts: are out of reach, since network policies let the gateway reach public addresses alone; name all hosts' networks in networkPolicy.fetch" }}
{{- end }}
{{- end }}
{{- toYaml $faults }}
{{- end }}
