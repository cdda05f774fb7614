{{/*
The pod template of one role: all that the roles have in common.

root, component, role: the release, the role's name, its values; configMap, toml: the configuration; config: the role's table;
command: the words that run the role, by default its name; portName: the name of its port, by default grpc; labels: further labels;
env: further variables; volumes, mounts: further ones; graceMore: seconds beyond the role's own; startSeconds: how long a start
may take; spread: labels whose values tell pods apart that are to be spread by themselves.
*/}}
{{- define "vigie.podTemplate" -}}
{{- $values := .root.Values }}
metadata:
  annotations:
    # A changed configuration is a changed pod: it is rolled out.
    checksum/config: {{ sha256sum .toml }}
    {{- with mergeOverwrite (deepCopy $values.podAnnotations) .role.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  labels:
    # Not the chart's version: another chart that renders the same pods rolls none.
    {{- include "vigie.component" (dict "root" .root "component" .component) | nindent 4 }}
    {{- with mergeOverwrite (deepCopy $values.commonLabels) .role.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "vigie.podBasics" (dict "root" .root "component" .component) | nindent 2 }}
  terminationGracePeriodSeconds: {{ default (include "vigie.grace" (dict "config" .config "more" .graceMore) | int) .role.terminationGracePeriodSeconds }}
  {{- with .role.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .role.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .role.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .role.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- $constraints := list (list $values.topologyKeys.zone .role.spread.zones) (list $values.topologyKeys.host .role.spread.hosts) }}
  {{- if or .role.spread.zones .role.spread.hosts }}
  topologySpreadConstraints:
    {{- range $constraints }}
    {{- if last . }}
    - topologyKey: {{ first . }}
      maxSkew: 1
      whenUnsatisfiable: {{ last . }}
      # A zone in which nothing may run does not count.
      nodeTaintsPolicy: Honor
      labelSelector:
        matchLabels:
          {{- include "vigie.component" (dict "root" $.root "component" $.component) | nindent 10 }}
          {{- with $.labels }}
          {{- toYaml . | nindent 10 }}
          {{- end }}
      {{- with $.spread }}
      matchLabelKeys: {{ toJson . }}
      {{- end }}
    {{- end }}
    {{- end }}
  {{- end }}
  initContainers:
    # A rollout whose configuration has a fault stops here, and what ran before goes on.
    - name: config-check
      image: {{ include "vigie.imageOf" . }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: [config, check, /etc/vigie/config/vigie.toml]
      {{- include "vigie.containerSecurity" .root | nindent 6 }}
      {{- include "vigie.roleEnv" . | nindent 6 }}
      resources:
        requests: {cpu: 10m, memory: 32Mi}
        limits: {memory: 128Mi}
      {{- include "vigie.roleMounts" . | nindent 6 }}
    {{- with .role.initContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  containers:
    - name: {{ .component }}
      image: {{ include "vigie.imageOf" . }}
      imagePullPolicy: {{ $values.image.pullPolicy }}
      args: [{{ default .component .command }}, --config, /etc/vigie/config/vigie.toml]
      {{- include "vigie.containerSecurity" .root | nindent 6 }}
      {{- include "vigie.roleEnv" . | nindent 6 }}
      ports:
        {{- with include "vigie.port" .component | trim }}
        - name: {{ default "grpc" $.portName }}
          containerPort: {{ . }}
        {{- end }}
        - name: telemetry
          containerPort: 9464
      # By HTTP on the telemetry port: with TLS the kubelet has no certificate to show on the other.
      startupProbe:
        httpGet: {path: /startupz, port: telemetry}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: {{ max 1 (ceil (divf .startSeconds 2) | int) }}
      livenessProbe:
        httpGet: {path: /livez, port: telemetry}
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: {path: /readyz, port: telemetry}
        periodSeconds: 2
        timeoutSeconds: 2
        failureThreshold: 2
      {{- with .role.resources }}
      resources:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- include "vigie.roleMounts" . | nindent 6 }}
    {{- with .role.sidecars }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    - name: config
      configMap:
        name: {{ .configMap }}
    {{- if $values.tls.enabled }}
    {{- include "vigie.tlsVolume" (dict "root" .root "component" .component) | nindent 4 }}
    {{- end }}
    {{- with include "vigie.consortiumSources" (dict "root" .root "component" .component) | trim }}
    - name: consortium
      projected:
        # The group's, which is ours.
        defaultMode: 0440
        sources:
          {{- . | nindent 10 }}
    {{- end }}
    {{- with concat (default list .volumes) .role.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The variables of a role, which its check has as well. */}}
{{- define "vigie.roleEnv" -}}
env:
  - name: VIGIE_LOG
    value: {{ .root.Values.log | quote }}
  - name: VIGIE_LOG_FORMAT
    value: {{ .root.Values.logFormat }}
  {{- with concat (default list .env) .role.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .role.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "vigie.roleMounts" -}}
volumeMounts:
  - {name: config, mountPath: /etc/vigie/config, readOnly: true}
  {{- if .root.Values.tls.enabled }}
  - {name: tls, mountPath: /etc/vigie/tls, readOnly: true}
  {{- end }}
  {{- if include "vigie.consortiumSources" (dict "root" .root "component" .component) | trim }}
  - {name: consortium, mountPath: /etc/vigie/consortium, readOnly: true}
  {{- end }}
  {{- with concat (default list .mounts) .role.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* Of every pod: who it is, and what it may not. (dict "root" $ "component" "bank") */}}
{{- define "vigie.podBasics" -}}
serviceAccountName: {{ include "vigie.serviceAccount" . }}
automountServiceAccountToken: false
# Variables of other Services are none of ours.
enableServiceLinks: false
{{- with .root.Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "vigie.containerSecurity" -}}
{{- with .Values.containerSecurityContext -}}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* (dict "root" $ "component" "bank") */}}
{{- define "vigie.tlsVolume" -}}
- name: tls
  secret:
    secretName: {{ include "vigie.tlsSecret" . | required "tls.existingSecret: names no Secret, and tls.certManager is not enabled" }}
    # The group's, which is ours.
    defaultMode: 0440
{{- end }}

{{/* A role's budget: (dict "root" $ "name" "vigie-frontend" "component" "frontend" "labels" dict "maxUnavailable" 1) */}}
{{- define "vigie.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "vigie.labels" . | nindent 4 }}
    {{- with .labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  maxUnavailable: {{ .maxUnavailable }}
  # A pod that does not serve anyway does not keep its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "vigie.component" . | nindent 6 }}
      {{- with .labels }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
{{- end }}

{{/*
The Service by which clients from without the release reach a role.
(dict "root" $ "name" "vigie-frontend" "component" "frontend" "service" $service "portName" "grpc" "appProtocol" "kubernetes.io/h2c")
*/}}
{{- define "vigie.facingService" -}}
{{- $port := include "vigie.port" .component }}
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "vigie.labels" . | nindent 4 }}
  {{- with .service.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  type: {{ .service.type }}
  {{- with include "vigie.ipFamilies" .root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .service.externalTrafficPolicy }}
  externalTrafficPolicy: {{ . }}
  {{- end }}
  {{- with .service.loadBalancerClass }}
  loadBalancerClass: {{ . }}
  {{- end }}
  {{- with .service.loadBalancerSourceRanges }}
  loadBalancerSourceRanges: {{ toJson . }}
  {{- end }}
  selector:
    {{- include "vigie.component" . | nindent 4 }}
  ports:
    - {name: {{ .portName }}, port: {{ $port }}, targetPort: {{ .portName }}, appProtocol: {{ ternary "https" .appProtocol .root.Values.tls.enabled }}}
{{- end }}

{{/* A role's scaler: (dict "root" $ "name" "vigie-frontend" "component" "frontend" "autoscaling" $autoscaling) */}}
{{- define "vigie.autoscaler" -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "vigie.labels" . | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ .name }}}
  minReplicas: {{ .autoscaling.minReplicas }}
  maxReplicas: {{ .autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .autoscaling.cpuUtilization }}}
    {{- if .autoscaling.callsInFlight }}
    - type: Pods
      pods:
        metric: {name: vigie_serving_calls_in_flight}
        target: {type: AverageValue, averageValue: {{ .autoscaling.callsInFlight | quote }}}
    {{- end }}
  {{- with .autoscaling.behavior }}
  behavior:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* A ConfigMap with a role's file: (dict "root" $ "name" "vigie-bank" "component" "bank" "toml" $toml) */}}
{{- define "vigie.configMap" -}}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "vigie.labels" . | nindent 4 }}
data:
  vigie.toml: |
    {{- .toml | nindent 4 }}
{{- end }}
