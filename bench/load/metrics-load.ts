/** Metrics as requests, remote write 1.0 and OTLP, and as bodies to scrape. Times step through the past and end now. */
import { labelsOf } from '../../lib/model/index.ts'
import { ProtoWriter } from '../../lib/wire/protobuf/index.ts'
import { encodeWriteV1, type WriteSeries } from '../../lib/wire/remote-write/index.ts'
import { snappyEncode } from '../../lib/wire/snappy/index.ts'
import { Random } from './random.ts'
import { instanceLabels, SERIES_PER_INSTANCE, SeriesValues, shapesOfInstance } from './series.ts'
import type { Request, Slice } from './slice.ts'

export interface MetricsSpec {
  readonly kind: 'remote-write' | 'otlp-metrics'
  readonly seed: number
  /** Times 100 series. */
  readonly instances: number
  /** Times of one slice. */
  readonly timesPerSlice: number
  readonly stepMs: number
  /** The last time of the last slice, Unix ms. */
  readonly endMs: number
  readonly samplesPerRequest: number
  readonly lanes: number
}

const WRITE_HEADERS = {
  'content-type': 'application/x-protobuf',
  'content-encoding': 'snappy',
  'x-prometheus-remote-write-version': '0.1.0',
}
const OTLP_HEADERS = { 'content-type': 'application/x-protobuf' }

/** Each instance belongs to one lane, so its series' times stay in order. */
export function metricsSlices(spec: MetricsSpec, sliceCount: number): Slice[] {
  const values = new SeriesValues(spec.instances, new Random(spec.seed))
  const instancesPerRequest = Math.max(1, Math.floor(spec.samplesPerRequest / SERIES_PER_INSTANCE))
  const encode = spec.kind === 'remote-write' ? writeEncoder(spec.instances) : otlpEncoder(spec.instances)
  const startMs = spec.endMs - (sliceCount * spec.timesPerSlice - 1) * spec.stepMs
  return Array.from({ length: sliceCount }, (_, slice) => {
    const lanes: Request[][] = Array.from({ length: spec.lanes }, () => [])
    for (let time = 0; time < spec.timesPerSlice; time++) {
      values.step()
      const timeMs = startMs + (slice * spec.timesPerSlice + time) * spec.stepMs
      for (let from = 0, part = 0; from < spec.instances; from += instancesPerRequest, part++) {
        const to = Math.min(from + instancesPerRequest, spec.instances)
        lanes[part % spec.lanes]!.push(encode(values.values, from, to, timeMs))
      }
    }
    return { items: spec.timesPerSlice * spec.instances * SERIES_PER_INSTANCE, lanes }
  })
}

type Encoder = (values: Float64Array, fromInstance: number, toInstance: number, timeMs: number) => Request

function writeEncoder(instances: number): Encoder {
  const shapes = shapesOfInstance()
  const labels = Array.from({ length: instances }, (_, instance) => {
    const common = instanceLabels(instance)
    return shapes.map((shape) => labelsOf({ ...common, ...recordOf(shape.labels), __name__: shape.name }))
  })
  return (values, from, to, timeMs) => {
    const series: WriteSeries[] = []
    for (let instance = from; instance < to; instance++) {
      for (let i = 0; i < SERIES_PER_INSTANCE; i++) {
        series.push({ labels: labels[instance]![i]!, times: [timeMs], values: [values[instance * SERIES_PER_INSTANCE + i]!] })
      }
    }
    return { headers: WRITE_HEADERS, body: snappyEncode(encodeWriteV1(series)) }
  }
}

/** ExportMetricsServiceRequest: a resource an instance; every series a point of a cumulative sum or a gauge. */
function otlpEncoder(instances: number): Encoder {
  const shapes = shapesOfInstance()
  const resources = Array.from({ length: instances }, (_, instance) => Object.entries(instanceLabels(instance)))
  const writer = new ProtoWriter(1 << 20)
  const attribute = (field: number, key: string, value: string): void => {
    const pair = writer.begin(field)
    writer.text(1, key)
    const any = writer.begin(2)
    writer.text(1, value)
    writer.end(any)
    writer.end(pair)
  }
  return (values, from, to, timeMs) => {
    writer.reset()
    for (let instance = from; instance < to; instance++) {
      const resourceMetrics = writer.begin(1)
      const resource = writer.begin(1)
      for (const [key, value] of resources[instance]!) attribute(1, OTLP_NAMES[key] ?? key, value)
      writer.end(resource)
      const scope = writer.begin(2)
      for (let i = 0; i < SERIES_PER_INSTANCE;) {
        const { name } = shapes[i]!
        const isSum = shapes[i]!.type !== 'gauge'
        const metric = writer.begin(2)
        // The translation adds `_total` to a monotonic sum.
        writer.text(1, name.replace(/_total$/, ''))
        const data = writer.begin(isSum ? 7 : 5)
        for (; i < SERIES_PER_INSTANCE && shapes[i]!.name === name; i++) {
          const point = writer.begin(1)
          writer.nano(2, timeMs - 3_600_000, 0)
          writer.nano(3, timeMs, 0)
          writer.double(4, values[instance * SERIES_PER_INSTANCE + i]!)
          const own = shapes[i]!.labels
          for (let at = 0; at < own.length; at += 2) attribute(7, own[at]!, own[at + 1]!)
          writer.end(point)
        }
        if (isSum) {
          writer.uint(2, 2)
          writer.uint(3, 1)
        }
        writer.end(data)
        writer.end(metric)
      }
      writer.end(scope)
      writer.end(resourceMetrics)
    }
    return { headers: OTLP_HEADERS, body: writer.take() }
  }
}

const OTLP_NAMES: Readonly<Record<string, string>> = {
  job: 'service.namespace',
  service: 'service.name',
  instance: 'service.instance.id',
  pod: 'k8s.pod.name',
  namespace: 'k8s.namespace.name',
  node: 'k8s.node.name',
  container: 'k8s.container.name',
}

function recordOf(labels: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {}
  for (let i = 0; i < labels.length; i += 2) record[labels[i]!] = labels[i + 1]!
  return record
}

export interface BodiesSpec {
  readonly seed: number
  /** Times 100 series in each target's body. */
  readonly instancesPerTarget: number
  /** How many bodies follow each other before they begin again (the counters fall then, as after a restart). */
  readonly bodies: number
}

/** Prometheus text, one body a scrape. */
export function scrapeBodies(spec: BodiesSpec): Buffer[] {
  const shapes = shapesOfInstance()
  const values = new SeriesValues(spec.instancesPerTarget, new Random(spec.seed))
  return Array.from({ length: spec.bodies }, () => {
    values.step()
    const text: string[] = []
    for (let i = 0; i < SERIES_PER_INSTANCE; i++) {
      const { name, family, type, labels } = shapes[i]!
      if (shapes[i - 1]?.family !== family) {
        const told = type === 'counter' ? `${family}_total` : family
        text.push(`# HELP ${told} What the bench measures of ${family}.\n# TYPE ${told} ${type}\n`)
      }
      const pairs = labels.flatMap((label, at) => (at % 2 === 0 ? [`${label}="${labels[at + 1]!}"`] : [])).join(',')
      for (let instance = 0; instance < spec.instancesPerTarget; instance++) {
        text.push(`${name}{worker="${instance}",${pairs}} ${values.values[instance * SERIES_PER_INSTANCE + i]!}\n`)
      }
    }
    return Buffer.from(text.join(''))
  })
}
