{{/* Name of the release's objects without a suffix: short enough for the longest suffix within 63 characters. */}}
{{- define "ringcache.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := printf "%s-%s" .Release.Name $name -}}
{{- if .Values.fullnameOverride -}}
{{- $full = .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- $full = .Release.Name -}}
{{- end -}}
{{- regexReplaceAll "[-.]+$" ($full | trunc 46) "" -}}
{{- end -}}

{{/* Name of the operator's Service, which must begin with a letter and have no dot: Helm asks that of no release. */}}
{{- define "ringcache.service" -}}
{{- $operator := include "ringcache.operator" . -}}
{{- if not (regexMatch "^[a-z][-a-z0-9]*$" $operator) -}}
{{- fail (printf "no Service can be named after the release %q: set fullnameOverride to a name of letters, digits and hyphens that begins with a letter" .Release.Name) -}}
{{- end -}}
{{- $operator }}-metrics
{{- end -}}

{{/* Name of the Deployment, its lease and most of what belongs to it. */}}
{{- define "ringcache.operator" -}}
{{- include "ringcache.fullname" . }}-operator
{{- end -}}

{{/* Name of objects without a namespace: releases of one name in several namespaces do not collide. */}}
{{- define "ringcache.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "ringcache.operator" .) -}}
{{- end -}}

{{- define "ringcache.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ringcache.operator" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is required when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* What never changes over upgrades. Not `ringcache`, the name of cache pods: a cluster may be called like the release. */}}
{{- define "ringcache.selector" -}}
app.kubernetes.io/name: ringcache-operator
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* Labels of the chart itself. */}}
{{- define "ringcache.ownLabels" -}}
{{ include "ringcache.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: ringcache
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Labels of every object. */}}
{{- define "ringcache.labels" -}}
{{ include "ringcache.ownLabels" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Labels of every object of `root`, with those of `more` in their place; the chart's own stay. */}}
{{- define "ringcache.labelsWith" -}}
{{- merge (include "ringcache.ownLabels" .root | fromYaml) .more .root.Values.commonLabels | toYaml -}}
{{- end -}}

{{/* What marks the pods of `helm test`: none of the operator's selectors may find them. */}}
{{- define "ringcache.testSelector" -}}
app.kubernetes.io/name: ringcache-operator-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The labels by which cache nodes of every cluster are found. */}}
{{- define "ringcache.cacheNodes" -}}
app.kubernetes.io/managed-by: ringcache-operator
app.kubernetes.io/component: cache-node
{{- end -}}

{{/* Secrets of chart and parent, each once. */}}
{{- define "ringcache.imagePullSecrets" -}}
{{- with concat .Values.global.imagePullSecrets .Values.imagePullSecrets | uniq -}}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* How Prometheus reads metrics, from the values of a monitor. */}}
{{- define "ringcache.scraping" -}}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- if .honorLabels }}
honorLabels: true
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* An image from `image` and the context `root`; a digest wins over a tag. */}}
{{- define "ringcache.image" -}}
{{- $registry := default .image.registry .root.Values.global.imageRegistry -}}
{{- $name := ternary (printf "%s/%s" $registry .image.repository) .image.repository (ne $registry "") -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .root.Chart.AppVersion .image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What the operator may do in the namespaces whose CacheClusters it serves: exactly the calls it makes. */}}
{{- define "ringcache.rules" -}}
- apiGroups: [ringcache.dev]
  resources: [cacheclusters]
  verbs: [get, list, watch]
- apiGroups: [ringcache.dev]
  resources: [cacheclusters/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [configmaps, services]
  verbs: [get, list, watch, create, patch]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}
