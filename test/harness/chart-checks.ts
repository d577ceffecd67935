/** What must hold of everything the chart renders, each as a function that lists what is wrong: an empty list is a good chart. */
import type { Container, KubeObject, Workload } from './rendered.ts'
import { isSelected, workloadsOf } from './rendered.ts'

const COMPONENTS = ['single', 'query', 'agent', 'scraper', 'tokens', 'dashboards', 'datasources']

const ofKind = (objects: readonly KubeObject[], kind: string): KubeObject[] => objects.filter((object) => object.kind === kind)
const nameOf = ({ kind, metadata }: KubeObject): string => `${kind}/${metadata.name}`
const containersOf = ({ pod }: Workload): readonly Container[] => [...(pod.initContainers ?? []), ...pod.containers]

/** Names used twice, objects outside the release's namespace, labels that aren't the release's. */
export function identityProblems(objects: readonly KubeObject[], release: string, namespace: string): string[] {
  const names = new Set<string>()
  return objects.flatMap((object) => {
    const { kind, metadata } = object
    const isOfCluster = kind.startsWith('Cluster')
    const wanted = isOfCluster ? `${namespace}-${release}` : release
    const labels = metadata.labels ?? {}
    const isDouble = names.has(nameOf(object))
    names.add(nameOf(object))
    return [
      ...(isDouble ? [`${nameOf(object)} is there twice`] : []),
      ...(metadata.name.startsWith(wanted) ? [] : [`${nameOf(object)} doesn't begin with ${wanted}`]),
      ...(metadata.namespace === (isOfCluster ? undefined : namespace)
        ? []
        : [`${nameOf(object)} is in the namespace ${metadata.namespace}`]),
      ...(isSelected(labels, { 'app.kubernetes.io/name': 'sightline', 'app.kubernetes.io/instance': release })
        ? []
        : [`${nameOf(object)} lacks the labels of the release`]),
      ...(COMPONENTS.includes(labels['app.kubernetes.io/component'] ?? '') ? [] : [`${nameOf(object)} is of no known component`]),
    ]
  })
}

/** Selectors that find no pod of the release, or those of two workloads; ports that the pods haven't. */
export function selectorProblems(objects: readonly KubeObject[]): string[] {
  const workloads = workloadsOf(objects)
  const foundBy = (selector: Readonly<Record<string, string>>): Workload[] => workloads.filter(({ labels }) => isSelected(labels, selector))
  const own = workloads.flatMap((workload) =>
    foundBy(workload.selector).length === 1 && isSelected(workload.labels, workload.selector)
      ? []
      : [`${nameOf(workload.object)} selects others' pods, or not its own`],
  )
  const services = ofKind(objects, 'Service').flatMap((service) => {
    const { 'statefulset.kubernetes.io/pod-name': podName, ...selector } = service.spec!['selector'] as Record<string, string>
    const [found, ...more] = foundBy(selector)
    if (found === undefined || more.length > 0) return [`${nameOf(service)} selects ${more.length === 0 ? 'nothing' : 'two workloads'}`]
    const { replicas = 0 } = found.object.spec as { replicas?: number }
    const podNames = Array.from({ length: replicas }, (_, i) => `${found.object.metadata.name}-${i}`)
    const ports = found.pod.containers[0]!.ports!.map(({ name }) => name)
    return [
      ...(podName === undefined || podNames.includes(podName) ? [] : [`${nameOf(service)} selects the pod ${podName}, which there isn't`]),
      ...(service.spec!['ports'] as { targetPort: string }[]).flatMap(({ targetPort }) =>
        ports.includes(targetPort) ? [] : [`${nameOf(service)} leads to the port ${targetPort}, which there isn't`],
      ),
    ]
  })
  const others = [...ofKind(objects, 'PodDisruptionBudget'), ...ofKind(objects, 'NetworkPolicy')].flatMap((object) => {
    const spec = object.spec as Record<string, { matchLabels: Record<string, string> }>
    const found = foundBy((spec['selector'] ?? spec['podSelector']!).matchLabels)
    return found.length === 1 ? [] : [`${nameOf(object)} selects ${found.length} workloads`]
  })
  return [...own, ...services, ...others]
}

/** References to objects that aren't rendered; Secrets of others must be named in the values. */
export function referenceProblems(objects: readonly KubeObject[], values: string): string[] {
  const lacking = (kind: string, name: string | undefined): string[] =>
    name === undefined || ofKind(objects, kind).some(({ metadata }) => metadata.name === name) ? [] : [`there is no ${kind}/${name}`]
  const foreign = (name: string | undefined): string[] =>
    name === undefined || values.includes(name) ? [] : [`the values don't name the Secret ${name}`]
  return workloadsOf(objects).flatMap((workload) => {
    const { object, pod } = workload
    const spec = object.spec as { serviceName?: string; volumeClaimTemplates?: { metadata: { name: string } }[] }
    const volumes = [...pod.volumes.map(({ name }) => name), ...(spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name)]
    return [
      ...lacking('ServiceAccount', pod.serviceAccountName),
      ...lacking('Service', spec.serviceName),
      ...containersOf(workload).flatMap(({ volumeMounts, env = [] }) => [
        ...volumeMounts.flatMap(({ name }) => (volumes.includes(name) ? [] : [`${nameOf(object)} mounts ${name}, which is no volume`])),
        ...env.flatMap(({ valueFrom }) => foreign(valueFrom?.secretKeyRef?.name)),
      ]),
      ...pod.volumes.flatMap(({ secret, projected, configMap, persistentVolumeClaim }) => [
        ...lacking('ConfigMap', configMap?.name),
        ...lacking('PersistentVolumeClaim', persistentVolumeClaim?.claimName),
        ...lacking('Secret', secret?.secretName),
        ...(secret?.items ?? []).flatMap(({ key }) => tokenProblems(objects, secret!.secretName, key)),
        ...(projected?.sources ?? []).flatMap(({ secret: source }) => foreign(source.name)),
      ]),
    ]
  })
}

function tokenProblems(objects: readonly KubeObject[], secret: string, key: string): string[] {
  const rendered = ofKind(objects, 'Secret').find(({ metadata }) => metadata.name === secret)
  const token = Buffer.from(rendered?.data?.[key] ?? '', 'base64').toString()
  return /^[A-Za-z0-9]{48}$/.test(token) ? [] : [`the Secret ${secret} has no token under ${key}`]
}

/** The one container that is root: it gives the host's folder to the agent's user (helm/sightline/README.md). */
export const ROOT_CONTAINER = 'own-data-folder'

/** Whatever a container could do beyond its own process. */
export function privilegeProblems(workload: Workload): string[] {
  const { object, pod } = workload
  const isAgent = object.kind === 'DaemonSet'
  const { runAsNonRoot, runAsUser, seccompProfile } = pod.securityContext as {
    runAsNonRoot?: boolean
    runAsUser?: number
    seccompProfile?: { type: string }
  }
  const logs = pod.containers.flatMap(({ volumeMounts }) => volumeMounts.filter(({ mountPath }) => mountPath.startsWith('/var/log')))
  return [
    ...(runAsNonRoot === true && (runAsUser ?? 0) > 0 ? [] : ['the pod may be root']),
    ...(seccompProfile?.type === 'RuntimeDefault' ? [] : ['the pod has no seccomp profile']),
    ...['hostNetwork', 'hostPID', 'hostIPC'].filter((key) => Object.hasOwn(pod, key)),
    ...(isAgent ? [] : pod.volumes.filter(({ hostPath }) => hostPath !== undefined).map(({ name }) => `the volume ${name} is the host's`)),
    ...logs.filter(({ readOnly }) => readOnly !== true).map(({ mountPath }) => `${mountPath} may be written`),
    ...containersOf(workload).flatMap((container) => containerProblems(container, isAgent)),
  ].map((problem) => `${nameOf(object)}: ${problem}`)
}

function containerProblems({ name, securityContext, resources, volumeMounts }: Container, isAgent: boolean): string[] {
  const { allowPrivilegeEscalation, readOnlyRootFilesystem, privileged, runAsNonRoot, runAsUser, capabilities } = securityContext
  const isRoot = name === ROOT_CONTAINER && isAgent
  const mounts = volumeMounts.map(({ mountPath }) => mountPath).join(' ')
  return [
    ...(allowPrivilegeEscalation === false && privileged === undefined ? [] : ['may become more than it is']),
    ...(readOnlyRootFilesystem === true ? [] : ['may write its root file system']),
    ...(capabilities?.drop?.join(' ') === 'ALL' ? [] : ["doesn't drop all capabilities"]),
    ...((capabilities?.add ?? []).join(' ') === (isRoot ? 'CHOWN' : '') ? [] : [`adds ${capabilities?.add?.join(' ')}`]),
    ...(isRoot || (runAsNonRoot === true && runAsUser === undefined) ? [] : ['may be root']),
    ...(isRoot && mounts !== '/var/lib/sightline' ? [`root sees ${mounts}`] : []),
    ...(resources.requests?.['memory'] === undefined || resources.limits?.['memory'] === undefined
      ? ['has no memory request and limit']
      : []),
  ].map((problem) => `${name} ${problem}`)
}

/** Roles that say more than they need, and pods that have Kubernetes' token for nothing. */
export function roleProblems(objects: readonly KubeObject[], namespace: string): string[] {
  const rules = [...ofKind(objects, 'ClusterRole'), ...ofKind(objects, 'Role')].flatMap((role) =>
    role.rules!.flatMap(({ resources = [], verbs, apiGroups = [], nonResourceURLs = [] }) => [
      ...[...resources, ...verbs, ...apiGroups, ...nonResourceURLs]
        .filter((word) => word.includes('*') || word.startsWith('secrets'))
        .map((word) => `${nameOf(role)} names ${word}`),
      ...verbs.filter((verb) => verb !== 'get').map((verb) => `${nameOf(role)} may ${verb}`),
    ]),
  )
  const bound = ofKind(objects, 'ClusterRoleBinding').flatMap(
    (binding) => (binding as unknown as { subjects: { name: string; namespace: string }[] }).subjects,
  )
  const tokens = workloadsOf(objects).flatMap(({ object, pod }) => {
    const isBound = bound.some((subject) => subject.name === pod.serviceAccountName && subject.namespace === namespace)
    return pod.automountServiceAccountToken === isBound
      ? []
      : [`${nameOf(object)} has ${isBound ? 'a role and no' : 'no role and a'} token of Kubernetes`]
  })
  return [...rules, ...tokens]
}
