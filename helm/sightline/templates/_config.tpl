{{/* The configuration file of a component: what the chart knows, and over it the component's `config`. */}}
{{- define "sightline.config" -}}
{{- $values := .root.Values -}}
{{- $own := index $values .component -}}
{{- $parts := dict "root" .root "component" .component -}}
{{- $config := dict "server" (include "sightline.config.server" $parts | fromYaml) -}}
{{- if $values.cluster }}{{ $_ := set $config "cluster" $values.cluster }}{{ end -}}
{{- $_ := set $config "node" (include "sightline.config.node" $parts) -}}
{{- if eq .component "agent" }}{{ $config = mergeOverwrite $config (include "sightline.config.agent" .root | fromYaml) }}{{ end -}}
{{- if eq .component "scraper" }}{{ $config = mergeOverwrite $config (include "sightline.config.scraper" .root | fromYaml) }}{{ end -}}
{{- if eq .component "query" }}{{ $config = mergeOverwrite $config (include "sightline.config.query" .root | fromYaml) }}{{ end -}}
{{- if or (eq .component "agent") (eq .component "scraper") }}{{ $_ := set $config "ship" (include "sightline.config.ship" .root | fromYamlArray) }}{{ end -}}
{{- if include "sightline.usesKafka" $parts }}{{ $_ := set $config "kafka" (include "sightline.config.kafka" .root | fromYaml) }}{{ end -}}
{{- if include "sightline.usesElasticsearch" $parts -}}
{{- $_ := set $config "elasticsearch" (include "sightline.config.elasticsearch" .root | fromYaml) -}}
{{- $_ := set $config "logs" (dict "store" "elasticsearch") -}}
{{- end -}}
{{- mergeOverwrite $config (deepCopy $own.config) | toYaml -}}
{{- end -}}

{{- define "sightline.config.node" -}}
{{- $prefix := ternary (printf "%s." .root.Values.cluster) "" (ne .root.Values.cluster "") -}}
{{- if eq .component "agent" }}{{ $prefix }}agent.${env:NODE_NAME}
{{- else if eq .component "scraper" }}{{ $prefix }}scraper
{{- else }}${env:POD_NAME}{{ end -}}
{{- end -}}

{{- define "sightline.config.server" -}}
listen: 0.0.0.0:9428
otlp_grpc: 0.0.0.0:4317
otlp_http: 0.0.0.0:4318
tokens:
  - name: applications
    token_file: /etc/sightline/tokens/applications
    permissions: [write]
{{- if or (eq .component "single") (eq .component "query") }}
  - name: collectors
    token_file: /etc/sightline/tokens/collectors
    tenants: ['*']
    permissions: [write]
  - name: grafana
    token_file: /etc/sightline/tokens/grafana
    permissions: [read]
{{- end }}
{{- if eq .component "query" }}
  - name: nodes
    token_file: /etc/sightline/tokens/nodes
    tenants: ['*']
    permissions: [read]
{{- end }}
{{- end -}}

{{- define "sightline.config.agent" -}}
{{- $agent := .Values.agent -}}
journal: { size_max: {{ $agent.data.sizeMax }} }
{{- if $agent.logs.enabled }}
tail:
  - name: containers
    include: {{ toJson $agent.logs.include }}
    # Its own lines would be new lines about themselves.
    exclude: {{ toJson (concat (list (printf "/var/log/pods/%s_%s-agent-*/*/*.log" .Release.Namespace (include "sightline.name" .))) $agent.logs.exclude) }}
{{- end }}
scrape_configs:
{{- if $agent.kubelet.enabled }}
{{- range $job, $path := dict "kubelet" "/metrics" "cadvisor" "/metrics/cadvisor" }}
  - job_name: {{ $job }}
    scheme: https
    metrics_path: {{ $path }}
    authorization: { credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token }
    tls_config: { ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt, insecure_skip_verify: {{ $agent.kubelet.insecureSkipVerify }} }
    static_configs:
      - targets: ['${env:NODE_IP}:10250']
        labels: { node: '${env:NODE_NAME}' }
{{- end }}
{{- end }}
{{- with $agent.scrapeConfigs }}
{{ toYaml . | indent 2 }}
{{- end }}
{{- if not (or $agent.kubelet.enabled $agent.scrapeConfigs) }} []{{ end }}
{{- end -}}

{{- define "sightline.config.scraper" -}}
{{- $scraper := .Values.scraper -}}
journal: { size_max: {{ $scraper.sizeMax }} }
scrape_configs:
{{- if $scraper.apiserver.enabled }}
  - job_name: apiserver
    scheme: https
    authorization: { credentials_file: /var/run/secrets/kubernetes.io/serviceaccount/token }
    tls_config: { ca_file: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt }
    static_configs: [{ targets: ['kubernetes.default.svc:443'] }]
{{- end }}
{{- with $scraper.scrapeConfigs }}
{{ toYaml . | indent 2 }}
{{- end }}
{{- if not (or $scraper.apiserver.enabled $scraper.scrapeConfigs) }} []{{ end }}
{{- end -}}

{{- define "sightline.config.query" -}}
{{- $name := include "sightline.name" . -}}
{{- $namespace := .Release.Namespace -}}
journal: { type: {{ .Values.query.journal }} }
query_cluster:
  nodes:
{{- range $i := until (int .Values.query.replicas) }}
    - http://{{ $name }}-query-{{ $i }}.{{ $name }}-query-headless.{{ $namespace }}.svc:9428
{{- end }}
  client: { authorization: { credentials_file: /etc/sightline/tokens/nodes } }
{{- end -}}

{{- define "sightline.config.ship" -}}
{{- $type := include "sightline.shipType" . -}}
{{- if eq $type "kafka" }}
- { name: kafka, type: kafka }
{{- else if eq $type "own" }}
- name: sightline
  type: http
  url: {{ include "sightline.ownUrl" . }}
  authorization: { credentials_file: /etc/sightline/tokens/collectors }
{{- else }}
- name: sightline
  type: http
  url: {{ .Values.ship.url }}
{{- if .Values.ship.tokenSecret.name }}
  authorization: { credentials_file: /etc/sightline/ship/token }
{{- end }}
{{- if .Values.ship.caSecret.name }}
  tls_config: { ca_file: /etc/sightline/ship/ca.crt }
{{- end }}
{{- end }}
{{- end -}}

{{- define "sightline.config.kafka" -}}
{{- $kafka := .Values.kafka -}}
brokers: {{ toJson $kafka.brokers }}
topic_prefix: {{ $kafka.topicPrefix }}
create_topics: {{ $kafka.createTopics }}
replication_factor: {{ $kafka.replicationFactor }}
retention: {{ $kafka.retention }}
{{- if $kafka.tls.enabled }}
{{- if $kafka.tls.caSecret.name }}
tls_config: { ca_file: /etc/sightline/kafka/ca.crt }
{{- else }}
tls_config: {}
{{- end }}
{{- end }}
{{- if $kafka.sasl.mechanism }}
sasl:
  mechanism: {{ $kafka.sasl.mechanism }}
  username: ${env:KAFKA_USERNAME}
  password_file: /etc/sightline/kafka/password
{{- end }}
{{- end -}}

{{- define "sightline.config.elasticsearch" -}}
{{- $elastic := .Values.elasticsearch -}}
nodes: {{ toJson $elastic.nodes }}
index_prefix: {{ $elastic.indexPrefix }}
{{- if $elastic.secret.name }}
{{- if $elastic.secret.apiKeyKey }}
api_key_file: /etc/sightline/elasticsearch/api-key
{{- else }}
username: ${env:ELASTICSEARCH_USERNAME}
password_file: /etc/sightline/elasticsearch/password
{{- end }}
{{- end }}
{{- if $elastic.caSecret.name }}
tls_config: { ca_file: /etc/sightline/elasticsearch/ca.crt }
{{- end }}
{{- end -}}
