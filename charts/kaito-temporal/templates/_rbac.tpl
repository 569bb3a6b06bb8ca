{{/*
ServiceAccount of a role, and the ClusterRole that is bound to it: (dict "root" $ "role" "worker"). The rules are plain YAML in rbac/; left out are those
that the installation grants elsewhere (secrets) or has no use for (networkpolicies).
*/}}
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
  {{- $elsewhere := $root.Values.rbac.secretNamespaces }}
  {{- $policies := eq (toString $root.Values.config.KAITO_NETWORK_POLICIES) "true" }}
  {{- range $root.Files.Get (printf "rbac/%s.yaml" .role) | fromYamlArray }}
  {{- if not (or (and $elsewhere (has "secrets" .resources)) (and (not $policies) (has "networkpolicies" .resources))) }}
  - {{ toJson . }}
  {{- end }}
  {{- end }}
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
