import { labelValue, labelsWith, type Labels } from '../../../model/index.ts'

/** Resource attributes that become stream labels. Source: Loki's `default_resource_attributes_as_index_labels`. */
export const PROMOTED_ATTRIBUTES: readonly string[] = [
  'service.name',
  'service.namespace',
  'service.instance.id',
  'deployment.environment',
  'deployment.environment.name',
  'cloud.region',
  'cloud.availability_zone',
  'k8s.cluster.name',
  'k8s.namespace.name',
  'k8s.pod.name',
  'k8s.container.name',
  'container.name',
  'k8s.replicaset.name',
  'k8s.deployment.name',
  'k8s.statefulset.name',
  'k8s.daemonset.name',
  'k8s.cronjob.name',
  'k8s.job.name',
]

/** Labels that name the service where `service_name` is missing, the first present wins. Source: Loki's `discover_service_name`. */
const SERVICE_LABELS: readonly string[] = [
  'service',
  'app',
  'application',
  'app_name',
  'name',
  'app_kubernetes_io_name',
  'container',
  'container_name',
  'k8s_container_name',
  'component',
  'workload',
  'job',
  'k8s_job_name',
]

const UNKNOWN_SERVICE = 'unknown_service'

/** The labels with `service_name`: its own, else that of the first label that names a service, else `unknown_service`. */
export function withServiceName(labels: Labels): Labels {
  if (labelValue(labels, 'service_name') !== '') return labels
  for (const name of SERVICE_LABELS) {
    const value = labelValue(labels, name)
    if (value !== '') return labelsWith(labels, 'service_name', value)
  }
  return labelsWith(labels, 'service_name', UNKNOWN_SERVICE)
}
