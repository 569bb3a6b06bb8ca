{{/* Names of objects begin with it. */}}
{{- define "kaito-temporal.fullname" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{/* What tells the release's objects from those of others. */}}
{{- define "kaito-temporal.releaseLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* What never changes of an object's labels: (dict "root" $ "component" "worker"). */}}
{{- define "kaito-temporal.selectorLabels" -}}
{{ include "kaito-temporal.releaseLabels" .root }}
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

{{/* Port of the health endpoints and metrics. YAML reads an unquoted off as false. */}}
{{- define "kaito-temporal.httpPort" -}}
{{- $port := include "kaito-temporal.text" (default "" .Values.config.KAITO_HTTP_PORT) -}}
{{- if or (kindIs "invalid" .Values.config.KAITO_HTTP_PORT) (eq "" (toString .Values.config.KAITO_HTTP_PORT)) -}}
9090
{{- else if and (regexMatch "^[1-9][0-9]{0,4}$" $port) (le (int $port) 65535) -}}
{{ $port }}
{{- else -}}
{{- fail (printf "config.KAITO_HTTP_PORT is %s: the pods' probes ask there, so the chart has to know the port; name one from 1 to 65535, or leave it unset (9090)" (include "kaito-temporal.text" .Values.config.KAITO_HTTP_PORT)) -}}
{{- end -}}
{{- end -}}

{{/* Whether there is a Job that promotes the release's workers; empty where not. */}}
{{- define "kaito-temporal.promotes" -}}
{{- if and .Values.promotion.enabled (eq (toString .Values.config.KAITO_WORKER_VERSIONING) "true") -}}
true
{{- end -}}
{{- end -}}

{{/* The frontend's host:port. */}}
{{- define "kaito-temporal.temporalAddress" -}}
{{- if .Values.temporal.address -}}
{{- if .Values.temporal.dev.enabled -}}
{{- fail (printf "temporal.address is %q, and temporal.dev.enabled is true: set temporal.dev.enabled=false to use that server, or leave the address empty to use the release's own" .Values.temporal.address) -}}
{{- end -}}
{{ .Values.temporal.address }}
{{- else if .Values.temporal.dev.enabled -}}
{{- with .Values.temporal -}}
{{- range $name, $isSet := dict "apiKey.secretName" .apiKey.secretName "tls.enabled" .tls.enabled "tls.ca.secretName" .tls.ca.secretName "tls.clientCertificateSecretName" .tls.clientCertificateSecretName -}}
{{- if $isSet -}}
{{- fail (printf "temporal.%s is set, and temporal.dev.enabled is true: the release's own server has neither TLS nor API keys; name another one in temporal.address and set temporal.dev.enabled=false, or leave temporal.%s out" $name $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ include "kaito-temporal.fullname" . }}-temporal.{{ .Release.Namespace }}.svc:7233
{{- else -}}
{{- fail "temporal.address is empty, and temporal.dev.enabled is false: name the host:port of a Temporal frontend, or set temporal.dev.enabled=true" -}}
{{- end -}}
{{- end -}}
