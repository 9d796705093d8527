{{- define "hearth.name" -}}
{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- end -}}

{{- define "hearth.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "hearth.secret" -}}
{{ .Values.auth.existingSecret | default (printf "%s-tokens" (include "hearth.name" .)) }}
{{- end -}}

{{/* Whether the chart brings its own Redis. */}}
{{- define "hearth.ownRedis" -}}
{{- if not (or .Values.redis.url .Values.redis.existingSecret) }}true{{ end -}}
{{- end -}}

{{- define "hearth.registryUrl" -}}
{{ .Values.registry.url | default (printf "http://%s-builder:%v" (include "hearth.name" .) .Values.builder.registryPort) }}
{{- end -}}

{{/* Call with (dict "root" $ "component" "gateway"). */}}
{{- define "hearth.selector" -}}
app.kubernetes.io/name: hearth
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "hearth.labels" -}}
{{ include "hearth.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end -}}

{{/* What the pods of a component share. Call with (dict "root" $ "component" …). */}}
{{- define "hearth.podBasics" -}}
serviceAccountName: {{ include "hearth.name" .root }}-{{ .component }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
{{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The restricted Pod Security Standard, pod and container. */}}
{{- define "hearth.restrictedPod" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "hearth.restrictedContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{/* Settings that every daemon reads. Call with (dict "root" $). */}}
{{- define "hearth.env" -}}
- name: HEARTH_HOST
  value: 0.0.0.0
- name: HEARTH_NAME
  valueFrom: { fieldRef: { fieldPath: {{ .nameField | default "metadata.name" }} } }
- name: HEARTH_LOG_LEVEL
  value: {{ .root.Values.logLevel }}
- name: HEARTH_REDIS_URL
{{- if .root.Values.redis.existingSecret }}
  valueFrom:
    secretKeyRef: { name: {{ .root.Values.redis.existingSecret }}, key: {{ .root.Values.redis.existingSecretKey }} }
{{- else }}
  value: {{ .root.Values.redis.url | default (printf "redis://%s-redis:6379" (include "hearth.name" .root)) }}
{{- end }}
- name: HEARTH_STORE_PREFIX
  value: {{ .root.Values.redis.prefix }}
- name: HEARTH_REGISTRY_URL
  value: {{ include "hearth.registryUrl" .root }}
- name: HEARTH_CLUSTER_TOKEN
  valueFrom:
    secretKeyRef: { name: {{ include "hearth.secret" .root }}, key: cluster-token }
{{- end -}}

{{- define "hearth.probes" -}}
startupProbe:
  httpGet: { path: /healthz, port: api }
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet: { path: /healthz, port: api }
  periodSeconds: 10
  timeoutSeconds: 5
readinessProbe:
  httpGet: { path: /readyz, port: api }
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{- define "hearth.placement" -}}
{{- with .nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
