/** What Helm rendered, as objects that a test can ask: containers, mounted files, who selects whom. */
import { parseAllDocuments } from 'yaml'

export interface KubeObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: Record<string, string>
    readonly annotations?: Record<string, string>
  }
  readonly spec?: Record<string, unknown>
  readonly data?: Record<string, string>
  readonly rules?: readonly { apiGroups?: string[]; resources?: string[]; nonResourceURLs?: string[]; verbs: string[] }[]
}

export interface Container {
  readonly name: string
  readonly args?: readonly string[]
  readonly env?: readonly { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string; key: string } } }[]
  readonly ports?: readonly { name: string; containerPort: number }[]
  readonly securityContext: Record<string, unknown> & { capabilities?: { drop?: string[]; add?: string[] } }
  readonly resources: { requests?: Record<string, string>; limits?: Record<string, string> }
  readonly volumeMounts: readonly { name: string; mountPath: string; readOnly?: boolean }[]
  readonly startupProbe?: Probe
  readonly livenessProbe?: Probe
  readonly readinessProbe?: Probe
}

export interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

interface Items {
  readonly items?: readonly { key: string; path: string }[]
}

export interface Volume {
  readonly name: string
  readonly configMap?: { name: string }
  readonly secret?: Items & { secretName: string; defaultMode?: number }
  readonly projected?: { sources: readonly { secret: Items & { name: string } }[]; defaultMode?: number }
  readonly hostPath?: { path: string }
  readonly emptyDir?: object
  readonly persistentVolumeClaim?: { claimName: string }
}

export interface PodSpec {
  readonly serviceAccountName: string
  readonly automountServiceAccountToken: boolean
  readonly securityContext: Record<string, unknown>
  readonly initContainers?: readonly Container[]
  readonly containers: readonly Container[]
  readonly volumes: readonly Volume[]
}

export interface Workload {
  readonly object: KubeObject
  readonly labels: Record<string, string>
  readonly pod: PodSpec
  readonly selector: Record<string, string>
}

/** Every document of a rendering. Errors: YAML's. */
export function parseRendered(text: string): KubeObject[] {
  return parseAllDocuments(text).flatMap((document) => {
    if ('errors' in document && document.errors.length > 0) throw document.errors[0]
    const object = document.toJS() as KubeObject | null
    return object === null ? [] : [object]
  })
}

const WORKLOADS = ['StatefulSet', 'DaemonSet', 'Deployment']

export function workloadsOf(objects: readonly KubeObject[]): Workload[] {
  return objects
    .filter(({ kind }) => WORKLOADS.includes(kind))
    .map((object) => {
      const spec = object.spec as {
        selector: { matchLabels: Record<string, string> }
        template: { metadata: { labels: Record<string, string> }; spec: PodSpec }
      }
      return { object, selector: spec.selector.matchLabels, labels: spec.template.metadata.labels, pod: spec.template.spec }
    })
}

/** Files a container finds below its mounts of ConfigMaps and Secrets. `keysOf` gives the keys of a ConfigMap. */
export function mountedFiles(
  container: Container,
  volumes: readonly Volume[],
  keysOf: (configMap: string) => readonly string[],
): Set<string> {
  const files = new Set<string>()
  for (const { name, mountPath } of container.volumeMounts) {
    const volume = volumes.find((each) => each.name === name)
    const items = [...(volume?.secret?.items ?? []), ...(volume?.projected?.sources ?? []).flatMap(({ secret }) => secret.items ?? [])]
    for (const { path } of items) files.add(`${mountPath}/${path}`)
    if (volume?.configMap !== undefined) for (const key of keysOf(volume.configMap.name)) files.add(`${mountPath}/${key}`)
  }
  return files
}

export function isSelected(labels: Readonly<Record<string, string>>, selector: Readonly<Record<string, string>>): boolean {
  return Object.entries(selector).every(([name, value]) => labels[name] === value)
}
