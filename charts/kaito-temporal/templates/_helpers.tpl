{{/* Names of objects begin with it. */}}
{{- define "kaito-temporal.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What never changes of an object's labels: (dict "root" $ "component" "worker"). */}}
{{- define "kaito-temporal.selectorLabels" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{/* Labels of an object: (dict "root" $ "component" "worker"). */}}
{{- define "kaito-temporal.labels" -}}
{{ include "kaito-temporal.selectorLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: kaito-temporal
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Name of a role's ServiceAccount: (dict "root" $ "role" "worker"). */}}
{{- define "kaito-temporal.serviceAccountName" -}}
{{- $values := index .root.Values .role -}}
{{- default (printf "%s-%s" (include "kaito-temporal.fullname" .root) .role) $values.serviceAccount.name -}}
{{- end -}}

{{/* Reference of an image: (dict "image" .Values.image "tag" "what to take where none is given"). */}}
{{- define "kaito-temporal.image" -}}
{{- if .image.digest -}}
{{ .image.repository }}@{{ .image.digest }}
{{- else -}}
{{ .image.repository }}:{{ default .tag .image.tag }}
{{- end -}}
{{- end -}}

{{/* A value of the configuration as text. YAML's numbers come as floats, which would be written as 2e+06. */}}
{{- define "kaito-temporal.text" -}}
{{- if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}

{{/* Port of the health endpoints and metrics. */}}
{{- define "kaito-temporal.httpPort" -}}
{{- if eq "off" (toString .Values.config.KAITO_HTTP_PORT) -}}
{{- fail "config.KAITO_HTTP_PORT is off: the pods' probes ask there; name another port, or leave it unset" -}}
{{- end -}}
{{- include "kaito-temporal.text" (default 9090 .Values.config.KAITO_HTTP_PORT) -}}
{{- end -}}

{{- define "kaito-temporal.temporalAddress" -}}
{{- if .Values.temporal.address -}}
{{- if .Values.temporal.dev.enabled -}}
{{- fail (printf "temporal.address is %q, and temporal.dev.enabled is true: set temporal.dev.enabled=false to use that server, or leave the address empty to use the release's own" .Values.temporal.address) -}}
{{- end -}}
{{ .Values.temporal.address }}
{{- else if .Values.temporal.dev.enabled -}}
{{ include "kaito-temporal.fullname" . }}-temporal.{{ .Release.Namespace }}.svc:7233
{{- else -}}
{{- fail "temporal.address is empty, and temporal.dev.enabled is false: name the host:port of a Temporal frontend, or set temporal.dev.enabled=true" -}}
{{- end -}}
{{- end -}}
