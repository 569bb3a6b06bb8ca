{{/* ServiceAccount of a role, and the ClusterRole that is bound to it: (dict "root" $ "role" "worker"). The rules are plain YAML in rbac/. */}}
{{- define "kaito-temporal.permissions" -}}
{{- $root := .root -}}
{{- $values := index .root.Values .role -}}
{{- $name := printf "%s-%s" (include "kaito-temporal.fullname" .root) .role -}}
{{- $account := include "kaito-temporal.serviceAccountName" . -}}
{{- $labels := include "kaito-temporal.labels" (dict "root" .root "component" .role) -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $account }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- $labels | nindent 4 }}
  {{- $annotations := deepCopy $values.serviceAccount.annotations }}
  {{- with $root.Values.azure.workloadIdentity }}
  {{- if and .clientId (eq $.role "worker") }}
  {{- $_ := set $annotations "azure.workload.identity/client-id" .clientId }}
  {{- with .tenantId }}
  {{- $_ := set $annotations "azure.workload.identity/tenant-id" . }}
  {{- end }}
  {{- end }}
  {{- end }}
  {{- with $annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
rules:
  {{- $root.Files.Get (printf "rbac/%s.yaml" .role) | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ $name }}
  labels:
    {{- $labels | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ $account }}
    namespace: {{ $root.Release.Namespace }}
{{- end -}}
