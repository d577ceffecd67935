import { labelsOf, labelsWith, METRIC_NAME, type Labels } from '../../../model/index.ts'
import { ProtoReader } from '../../protobuf/index.ts'
import { attributeOf, labelNameOf } from '../common/index.ts'

/** What a ResourceMetrics' resource gives to its series. */
export interface MetricResource {
  readonly job: string
  readonly instance: string
  /** Labels of `target_info`; undefined where the resource has none: no identity, or nothing to tell. */
  readonly info: Labels | undefined
}

const IDENTITY: ReadonlySet<string> = new Set(['service.name', 'service.namespace', 'service.instance.id'])

/** The ResourceMetrics in `bytes[from, to)`: 1 resource { 1 attributes }. */
export function readResource(bytes: Uint8Array, from: number, to: number): MetricResource {
  const values = new Map<string, string>()
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.field !== 1 || !reader.isBytes) continue
    for (const [key, value] of readAttributes(bytes, reader.start, reader.stop, 1)) values.set(key, value)
  }
  const name = values.get('service.name') ?? ''
  const namespace = values.get('service.namespace') ?? ''
  const job = name !== '' && namespace !== '' ? `${namespace}/${name}` : name
  const instance = values.get('service.instance.id') ?? ''
  const others = [...values].filter(([key]) => !IDENTITY.has(key))
  const isKnown = job !== '' || instance !== ''
  const info = isKnown && others.length > 0 ? labelsWith(pointLabels(others, job, instance), METRIC_NAME, 'target_info') : undefined
  return { job, instance, info }
}

/** Attributes of field `field` of a message, key and text. */
export function readAttributes(bytes: Uint8Array, from: number, to: number, field: number): [string, string][] {
  const out: [string, string][] = []
  const reader = new ProtoReader(bytes, from, to)
  while (reader.next()) {
    if (reader.field !== field || !reader.isBytes) continue
    const { key, value } = attributeOf(bytes, reader.start, reader.stop)
    out.push([key, String(value)])
  }
  return out
}

/** Labels of a point without its name. Keys that become the same label name have their values joined with `;`, in the order of the keys. */
export function pointLabels(attributes: [string, string][], job: string, instance: string): Labels {
  const byName = new Map<string, string>()
  const sorted = attributes.length > 1 ? attributes.toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) : attributes
  for (const [key, value] of sorted) {
    if (key === '') continue
    const name = labelNameOf(key)
    const before = byName.get(name)
    byName.set(name, before === undefined ? value : `${before};${value}`)
  }
  if (job !== '') byName.set('job', job)
  if (instance !== '') byName.set('instance', instance)
  return labelsOf(byName)
}
