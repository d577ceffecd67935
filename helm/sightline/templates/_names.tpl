{{- define "sightline.name" -}}
{{- default .Release.Name .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "sightline.selector" -}}
app.kubernetes.io/name: sightline
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "sightline.labels" -}}
{{ include "sightline.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{- define "sightline.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "sightline.tokensSecret" -}}
{{- default (printf "%s-tokens" (include "sightline.name" .)) .Values.tokens.existingSecret -}}
{{- end -}}

{{/* The component that stores: its Service is the one people and Grafana use. */}}
{{- define "sightline.store" -}}
{{- if eq .Values.mode "single" }}single{{ else if .Values.query.enabled }}query{{ end -}}
{{- end -}}

{{/* kafka, http to elsewhere, or http to this release. */}}
{{- define "sightline.shipType" -}}
{{- if .Values.ship.url -}}
url
{{- else if eq .Values.mode "single" -}}
own
{{- else if and .Values.query.enabled (eq .Values.query.journal "file") -}}
own
{{- else if .Values.kafka.brokers -}}
kafka
{{- else -}}
{{- fail "collectors have nowhere to ship to: set ship.url, or kafka.brokers, or query.enabled" -}}
{{- end -}}
{{- end -}}

{{- define "sightline.ownUrl" -}}
{{- $name := include "sightline.name" . -}}
{{- if eq .Values.mode "single" -}}
http://{{ $name }}.{{ .Release.Namespace }}.svc:9428
{{- else -}}
http://{{ $name }}-query-0.{{ $name }}-query-headless.{{ .Release.Namespace }}.svc:9428
{{- end -}}
{{- end -}}

{{/* What the configuration of a component needs of Secrets and nothing else. */}}
{{- define "sightline.usesKafka" -}}
{{- if eq .component "query" -}}
{{- if eq .root.Values.query.journal "kafka" }}yes{{ end -}}
{{- else if or (eq .component "agent") (eq .component "scraper") -}}
{{- if eq (include "sightline.shipType" .root) "kafka" }}yes{{ end -}}
{{- end -}}
{{- end -}}

{{- define "sightline.usesElasticsearch" -}}
{{- if and (or (eq .component "query") (eq .component "single")) .root.Values.elasticsearch.nodes }}yes{{ end -}}
{{- end -}}

{{- define "sightline.tokenKeys" -}}
{{- if eq .component "single" }}applications collectors grafana
{{- else if eq .component "query" }}applications collectors nodes grafana
{{- else if eq (include "sightline.shipType" .root) "own" }}applications collectors
{{- else }}applications{{ end -}}
{{- end -}}
