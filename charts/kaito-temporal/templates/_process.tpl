{{/* How Temporal is reached and what is written there: environment variables, most of them of its own client library. */}}
{{- define "kaito-temporal.temporalEnv" -}}
- name: TEMPORAL_ADDRESS
  value: {{ include "kaito-temporal.temporalAddress" . | quote }}
- name: TEMPORAL_NAMESPACE
  value: {{ .Values.temporal.namespace | quote }}
{{- with .Values.temporal.apiKey }}
{{- if .secretName }}
- name: KAITO_TEMPORAL_API_KEY_FILE
  value: /etc/kaito/temporal-api-key/{{ .key }}
{{- end }}
{{- end }}
{{- with .Values.temporal.payloadKeys }}
{{- if .secretName }}
- name: KAITO_PAYLOAD_KEYS
  value: /etc/kaito/payload-keys
{{- with .current }}
- name: KAITO_PAYLOAD_KEY
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.temporal.tls }}
{{- if .enabled }}
- name: TEMPORAL_TLS
  value: 'true'
{{- end }}
{{- if .serverName }}
- name: TEMPORAL_TLS_SERVER_NAME
  value: {{ .serverName | quote }}
{{- end }}
{{- if .ca.secretName }}
- name: TEMPORAL_TLS_SERVER_CA_CERT_PATH
  value: /etc/kaito/temporal-ca/{{ .ca.key }}
{{- end }}
{{- if .clientCertificateSecretName }}
- name: TEMPORAL_TLS_CLIENT_CERT_PATH
  value: /etc/kaito/temporal-client/tls.crt
- name: TEMPORAL_TLS_CLIENT_KEY_PATH
  value: /etc/kaito/temporal-client/tls.key
{{- end }}
{{- end }}
{{- end -}}

{{/* Variables that the values of a role add: (dict "root" $ "role" "worker"). What templates read has to be where they read it. */}}
{{- define "kaito-temporal.furtherEnv" -}}
{{- $own := index .root.Values .role -}}
{{- range $from, $variables := dict "env" .root.Values.env (printf "%s.env" .role) $own.env -}}
{{- range $variables -}}
{{- if has .name (list "KAITO_HTTP_PORT" "KAITO_WORKER_VERSIONING" "KAITO_NETWORK_POLICIES") -}}
{{- fail (printf "%s sets %s, which the chart itself has to know: set config.%s instead" $from .name .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with concat .root.Values.env $own.env -}}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* Places of what Temporal is reached with, and to write to. */}}
{{- define "kaito-temporal.temporalVolumeMounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.temporal.apiKey.secretName }}
- name: temporal-api-key
  mountPath: /etc/kaito/temporal-api-key
  readOnly: true
{{- end }}
{{- with .Values.temporal.tls }}
{{- if .ca.secretName }}
- name: temporal-ca
  mountPath: /etc/kaito/temporal-ca
  readOnly: true
{{- end }}
{{- if .clientCertificateSecretName }}
- name: temporal-client
  mountPath: /etc/kaito/temporal-client
  readOnly: true
{{- end }}
{{- end }}
{{- end -}}

{{- define "kaito-temporal.volumeMounts" -}}
{{ include "kaito-temporal.temporalVolumeMounts" . }}
{{- if .Values.temporal.payloadKeys.secretName }}
- name: payload-keys
  mountPath: /etc/kaito/payload-keys
  readOnly: true
{{- end }}
{{- if .Values.presetsConfigMap }}
- name: presets
  mountPath: /etc/kaito/presets
  readOnly: true
{{- end }}
{{- if .Values.quotas }}
- name: quotas
  mountPath: /etc/kaito/quotas
  readOnly: true
{{- end }}
{{- end -}}

{{- define "kaito-temporal.temporalVolumes" -}}
- name: tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with .Values.temporal.apiKey }}
{{- if .secretName }}
- name: temporal-api-key
  secret:
    secretName: {{ .secretName }}
    defaultMode: 288 # 0440
{{- end }}
{{- end }}
{{- with .Values.temporal.tls }}
{{- if .ca.secretName }}
- name: temporal-ca
  secret:
    secretName: {{ .ca.secretName }}
{{- end }}
{{- if .clientCertificateSecretName }}
- name: temporal-client
  secret:
    secretName: {{ .clientCertificateSecretName }}
    defaultMode: 288 # 0440
{{- end }}
{{- end }}
{{- end -}}

{{- define "kaito-temporal.volumes" -}}
{{ include "kaito-temporal.temporalVolumes" . }}
{{- with .Values.temporal.payloadKeys }}
{{- if .secretName }}
- name: payload-keys
  secret:
    secretName: {{ .secretName }}
    defaultMode: 288 # 0440
{{- end }}
{{- end }}
{{- with .Values.presetsConfigMap }}
- name: presets
  configMap:
    name: {{ . }}
{{- end }}
{{- if .Values.quotas }}
- name: quotas
  configMap:
    name: {{ include "kaito-temporal.fullname" . }}-quotas
{{- end }}
{{- end -}}

{{/* Nothing but the process may be done by the process. */}}
{{- define "kaito-temporal.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "kaito-temporal.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* What the pods of the product's image have in common: (dict "root" $ "values" .Values.worker). */}}
{{- define "kaito-temporal.pod" -}}
enableServiceLinks: false
securityContext:
  {{- include "kaito-temporal.podSecurity" 2000 | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Deployment and PodDisruptionBudget of a role: (dict "root" $ "role" "worker"). */}}
{{- define "kaito-temporal.process" -}}
{{- $root := .root -}}
{{- $values := index .root.Values .role -}}
{{- $names := dict "root" .root "component" .role -}}
{{- $isAzure := and (eq .role "worker") $root.Values.azure.workloadIdentity.clientId -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "kaito-temporal.fullname" $root }}-{{ .role }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "kaito-temporal.labels" $names | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "kaito-temporal.selectorLabels" $names | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "kaito-temporal.labels" $names | nindent 8 }}
        {{- if $isAzure }}
        azure.workload.identity/use: 'true'
        {{- end }}
        {{- with $values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      annotations:
        checksum/config: {{ include (print $root.Template.BasePath "/configmap.yaml") $root | sha256sum }}
        {{- with $values.podAnnotations }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ include "kaito-temporal.serviceAccountName" (dict "root" $root "role" .role) }}
      terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
      {{- include "kaito-temporal.pod" (dict "root" $root "values" $values) | nindent 6 }}
      topologySpreadConstraints:
        {{- with $values.topologySpreadConstraints }}
        {{- toYaml . | nindent 8 }}
        {{- else }}
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector:
            matchLabels:
              {{- include "kaito-temporal.selectorLabels" $names | nindent 14 }}
        {{- end }}
      containers:
        - name: {{ .role }}
          image: {{ include "kaito-temporal.image" (dict "image" $root.Values.image "tag" $root.Chart.AppVersion) }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args: [--role, {{ .role }}]
          securityContext:
            {{- include "kaito-temporal.containerSecurity" . | nindent 12 }}
          envFrom:
            - configMapRef:
                name: {{ include "kaito-temporal.fullname" $root }}-config
          env:
            {{- include "kaito-temporal.temporalEnv" $root | nindent 12 }}
            {{- with include "kaito-temporal.furtherEnv" . }}
            {{- . | nindent 12 }}
            {{- end }}
          ports:
            - name: http
              containerPort: {{ include "kaito-temporal.httpPort" $root }}
          # It starts while Temporal and the API server do: that may take as long as theirs.
          startupProbe:
            httpGet: { path: /healthz, port: http }
            periodSeconds: 2
            failureThreshold: 150
          livenessProbe:
            httpGet: { path: /healthz, port: http }
            periodSeconds: 10
            timeoutSeconds: 5
            failureThreshold: 6
          readinessProbe:
            httpGet: { path: /readyz, port: http }
            periodSeconds: 5
            timeoutSeconds: 5
          {{- with $values.resources }}
          resources:
            {{- toYaml . | nindent 12 }}
          {{- end }}
          volumeMounts:
            {{- include "kaito-temporal.volumeMounts" $root | nindent 12 }}
            {{- with $values.volumeMounts }}
            {{- toYaml . | nindent 12 }}
            {{- end }}
      volumes:
        {{- include "kaito-temporal.volumes" $root | nindent 8 }}
        {{- with $values.volumes }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
{{- if $values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "kaito-temporal.fullname" $root }}-{{ .role }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "kaito-temporal.labels" $names | nindent 4 }}
spec:
  maxUnavailable: {{ $values.podDisruptionBudget.maxUnavailable }}
  selector:
    matchLabels:
      {{- include "kaito-temporal.selectorLabels" $names | nindent 6 }}
{{- end }}
{{- end -}}
