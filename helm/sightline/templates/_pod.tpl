{{/* What every container may do: nothing beyond its own process. */}}
{{- define "sightline.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "sightline.podSecurity" -}}
{{- $user := 10001 -}}
{{- $group := 10001 -}}
{{- if eq .component "agent" }}{{ $user = .root.Values.agent.runAsUser }}{{ $group = .root.Values.agent.runAsGroup }}{{ end -}}
runAsNonRoot: true
runAsUser: {{ $user }}
runAsGroup: {{ $group }}
fsGroup: {{ $group }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "sightline.podMetadata" -}}
labels:
  {{- include "sightline.labels" . | nindent 2 }}
  {{- with .root.Values.podLabels }}{{ toYaml . | nindent 2 }}{{ end }}
annotations:
  checksum/config: {{ include "sightline.config" . | sha256sum }}
  {{- with .root.Values.podAnnotations }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end -}}

{{/* Of a pod's spec: everything but volumes of data and what only one component has. */}}
{{- define "sightline.podCommon" -}}
{{- $own := index .root.Values .component -}}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
serviceAccountName: {{ include "sightline.name" .root }}-{{ .component }}
automountServiceAccountToken: {{ eq (include "sightline.callsKubernetes" .) "yes" }}
enableServiceLinks: false
# Draining writes a checkpoint of every partition; past this what was acknowledged is in the journal.
terminationGracePeriodSeconds: 60
securityContext:
  {{- include "sightline.podSecurity" . | nindent 2 }}
{{- with $own.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with $own.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with $own.affinity }}
affinity: {{ toJson . }}
{{- end }}
{{- end -}}

{{- define "sightline.callsKubernetes" -}}
{{- if and (eq .component "agent") .root.Values.agent.kubelet.enabled }}yes{{ end -}}
{{- if and (eq .component "scraper") .root.Values.scraper.apiserver.enabled }}yes{{ end -}}
{{- end -}}

{{- define "sightline.container" -}}
{{- $own := index .root.Values .component -}}
{{- $role := dict "single" "all" "query" "query" "agent" "collector" "scraper" "collector" -}}
name: sightline
image: {{ include "sightline.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [{{ index $role .component }}, --config, /etc/sightline/config/sightline.yml, --data, /var/lib/sightline/data, --shutdown-timeout, 50s]
securityContext:
  {{- include "sightline.containerSecurity" . | nindent 2 }}
env:
  - { name: POD_NAME, valueFrom: { fieldRef: { fieldPath: metadata.name } } }
{{- if eq .component "agent" }}
  - { name: NODE_NAME, valueFrom: { fieldRef: { fieldPath: spec.nodeName } } }
  - { name: NODE_IP, valueFrom: { fieldRef: { fieldPath: status.hostIP } } }
{{- end }}
{{- $sasl := .root.Values.kafka.sasl }}
{{- if and (include "sightline.usesKafka" .) $sasl.mechanism }}
  - { name: KAFKA_USERNAME, valueFrom: { secretKeyRef: { name: {{ $sasl.secret.name }}, key: {{ $sasl.secret.usernameKey }} } } }
{{- end }}
{{- $elastic := .root.Values.elasticsearch.secret }}
{{- if and (include "sightline.usesElasticsearch" .) $elastic.name (not $elastic.apiKeyKey) }}
  - { name: ELASTICSEARCH_USERNAME, valueFrom: { secretKeyRef: { name: {{ $elastic.name }}, key: {{ $elastic.usernameKey }} } } }
{{- end }}
ports:
  - { name: http, containerPort: 9428 }
  - { name: otlp-grpc, containerPort: 4317 }
  - { name: otlp-http, containerPort: 4318 }
# Replay of a full journal takes its time: the process is alive meanwhile, and not ready.
startupProbe: { httpGet: { path: /-/healthy, port: http }, periodSeconds: 2, failureThreshold: 60 }
livenessProbe: { httpGet: { path: /-/healthy, port: http }, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }
readinessProbe: { httpGet: { path: /-/ready, port: http }, periodSeconds: 5, timeoutSeconds: 5 }
resources: {{ toJson $own.resources }}
volumeMounts:
  - { name: config, mountPath: /etc/sightline/config, readOnly: true }
  - { name: tokens, mountPath: /etc/sightline/tokens, readOnly: true }
  - { name: data, mountPath: /var/lib/sightline }
  - { name: tmp, mountPath: /tmp }
{{- if include "sightline.shipFiles" . }}
  - { name: ship, mountPath: /etc/sightline/ship, readOnly: true }
{{- end }}
{{- if include "sightline.kafkaFiles" . }}
  - { name: kafka, mountPath: /etc/sightline/kafka, readOnly: true }
{{- end }}
{{- if include "sightline.elasticsearchFiles" . }}
  - { name: elasticsearch, mountPath: /etc/sightline/elasticsearch, readOnly: true }
{{- end }}
{{- end -}}

{{- define "sightline.volumes" -}}
- name: config
  configMap: { name: {{ include "sightline.name" .root }}-{{ .component }} }
- name: tokens
  secret:
    secretName: {{ include "sightline.tokensSecret" .root }}
    defaultMode: 0440
    items:
    {{- range splitList " " (include "sightline.tokenKeys" . | trim) }}
      - { key: {{ . }}, path: {{ . }} }
    {{- end }}
- name: tmp
  emptyDir: { sizeLimit: 64Mi }
{{- range $volume := list "ship" "kafka" "elasticsearch" }}
{{- with include (printf "sightline.%sFiles" $volume) $ }}
- name: {{ $volume }}
  projected:
    defaultMode: 0440
    sources:
      {{- . | nindent 6 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "sightline.secretFile" -}}
- secret: { name: {{ .name }}, items: [{ key: {{ .key }}, path: {{ .path }} }] }
{{ end -}}

{{- define "sightline.shipFiles" -}}
{{- if or (eq .component "agent") (eq .component "scraper") -}}
{{- $ship := .root.Values.ship -}}
{{- if $ship.url -}}
{{- if $ship.tokenSecret.name }}{{ include "sightline.secretFile" (dict "name" $ship.tokenSecret.name "key" $ship.tokenSecret.key "path" "token") }}{{ end -}}
{{- if $ship.caSecret.name }}{{ include "sightline.secretFile" (dict "name" $ship.caSecret.name "key" $ship.caSecret.key "path" "ca.crt") }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "sightline.kafkaFiles" -}}
{{- if include "sightline.usesKafka" . -}}
{{- $kafka := .root.Values.kafka -}}
{{- if $kafka.sasl.mechanism }}{{ include "sightline.secretFile" (dict "name" $kafka.sasl.secret.name "key" $kafka.sasl.secret.passwordKey "path" "password") }}{{ end -}}
{{- if and $kafka.tls.enabled $kafka.tls.caSecret.name }}{{ include "sightline.secretFile" (dict "name" $kafka.tls.caSecret.name "key" $kafka.tls.caSecret.key "path" "ca.crt") }}{{ end -}}
{{- end -}}
{{- end -}}

{{- define "sightline.elasticsearchFiles" -}}
{{- if include "sightline.usesElasticsearch" . -}}
{{- $secret := .root.Values.elasticsearch.secret -}}
{{- $ca := .root.Values.elasticsearch.caSecret -}}
{{- if $secret.name -}}
{{- if $secret.apiKeyKey }}{{ include "sightline.secretFile" (dict "name" $secret.name "key" $secret.apiKeyKey "path" "api-key") }}
{{- else }}{{ include "sightline.secretFile" (dict "name" $secret.name "key" $secret.passwordKey "path" "password") }}{{ end -}}
{{- end -}}
{{- if $ca.name }}{{ include "sightline.secretFile" (dict "name" $ca.name "key" $ca.key "path" "ca.crt") }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* The components of this release. */}}
{{- define "sightline.components" -}}
{{- include "sightline.store" . }}{{ if .Values.agent.enabled }} agent{{ end }}{{ if .Values.scraper.enabled }} scraper{{ end -}}
{{- end -}}
