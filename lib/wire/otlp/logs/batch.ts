import { EMPTY_LABELS, labelValue, labelsKey, type Labels } from '../../../model/index.ts'
import { ProtoWriter } from '../../protobuf/index.ts'
import { PAYLOAD_BYTES_MAX, writeTextAttribute } from '../common/index.ts'
import { LEVEL_FIELDS, detectLevel, levelOfSeverity, normaliseLevel, type Level } from './level.ts'

/** One journal record's content: `items` log records of `partition`, as a normalised request. */
export interface LogBatch {
  readonly partition: number
  readonly payload: Uint8Array
  readonly items: number
}

export interface LogBatchOptions {
  /** The partition of a stream: a pure function of its labels. */
  readonly partitionOf: (labels: Labels) => number
  readonly payloadBytesMax?: number
}

const SCOPE_NAME = 'sightline.stream'
const DETECTED_LEVEL = 'detected_level'
/** Upper bound of what wraps a stream's records besides its labels. */
const WRAP_BYTES = 64
const SEVERITY: Readonly<Record<Level, number>> = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, critical: 18, fatal: 21, unknown: 0 }
const LEVEL_NAMES: ReadonlySet<string> = new Set(LEVEL_FIELDS)

/** A stream in a payload being gathered. */
interface OpenStream {
  readonly resource: Uint8Array
  readonly records: ProtoWriter
  /** The level its labels give to every record. */
  readonly level: string | undefined
}

/** A partition's payload being gathered. */
interface OpenPayload {
  streams: Map<string, OpenStream>
  bytes: number
  items: number
}

/**
 * Gathers log records into normalised payloads, one partition each, at most `payloadBytesMax` long.
 *
 * Record order is kept per stream. A record without `detected_level` in its metadata gets one: from a level label, else from a
 * level in the metadata, else from `severity_number`, else from the line. Memory: what was added since the last `finish`; the caller bounds it.
 */
export class LogBatchBuilder {
  readonly #partitionOf: (labels: Labels) => number
  readonly #bytesMax: number
  readonly #open = new Map<number, OpenPayload>()
  readonly #done: LogBatch[] = []
  readonly #keys = new WeakMap<Labels, { key: string; partition: number }>()
  readonly #record = new ProtoWriter(1024)
  #metadata: Labels = EMPTY_LABELS
  readonly #encodedMetadata = new Map<string, Uint8Array>()
  #tooLarge = 0

  constructor(options: LogBatchOptions) {
    this.#partitionOf = options.partitionOf
    this.#bytesMax = options.payloadBytesMax ?? PAYLOAD_BYTES_MAX
  }

  /** Records refused because they alone pass the limit. */
  get tooLarge(): number {
    return this.#tooLarge
  }

  /**
   * @param labels the stream; the same array again is found without being compared
   * @param line   text, or UTF-8 bytes; copied
   * @returns false where the record alone is too large: it is counted in `tooLarge`
   */
  add(labels: Labels, timeMs: number, subNs: number, line: string | Uint8Array, metadata: Labels = EMPTY_LABELS): boolean {
    const { key, partition } = this.#identify(labels)
    let payload = this.#open.get(partition)
    let stream = payload?.streams.get(key)
    const level = this.#encode(labels, stream, timeMs, subNs, line, metadata)
    const resource = stream?.resource ?? encodeResource(labels)
    const size = this.#record.length + 6
    const added = size + (stream === undefined ? resource.length + WRAP_BYTES : 0)
    if (size + resource.length + WRAP_BYTES > this.#bytesMax) {
      this.#tooLarge++
      return false
    }
    if (payload !== undefined && payload.bytes + added > this.#bytesMax) {
      this.#seal(partition, payload)
      payload = undefined
      stream = undefined
    }
    if (payload === undefined) {
      payload = { streams: new Map(), bytes: 0, items: 0 }
      this.#open.set(partition, payload)
    }
    if (stream === undefined) {
      stream = { resource, records: new ProtoWriter(512), level }
      payload.streams.set(key, stream)
      payload.bytes += resource.length + WRAP_BYTES
    }
    stream.records.bytes(2, this.#record.view())
    payload.bytes += size
    payload.items++
    return true
  }

  /** The payloads gathered since the last call, in the order their partitions filled; the builder is empty again. */
  finish(): LogBatch[] {
    for (const [partition, payload] of this.#open) this.#seal(partition, payload)
    return this.#done.splice(0)
  }

  #identify(labels: Labels): { key: string; partition: number } {
    let known = this.#keys.get(labels)
    if (known === undefined) {
      known = { key: labelsKey(labels), partition: this.#partitionOf(labels) }
      this.#keys.set(labels, known)
    }
    return known
  }

  /** Encodes the LogRecord into `#record`; returns the level that the stream's labels give, for the stream's state. */
  #encode(
    labels: Labels,
    stream: OpenStream | undefined,
    timeMs: number,
    subNs: number,
    line: string | Uint8Array,
    metadata: Labels,
  ): string | undefined {
    const streamLevel = stream === undefined ? levelIn(labels) : stream.level
    const level =
      labelValue(metadata, DETECTED_LEVEL) || (streamLevel ?? levelIn(metadata) ?? levelBySeverity(metadata) ?? detectLevel(line))
    const record = this.#record
    record.reset()
    record.nano(1, timeMs, subNs)
    const severity = SEVERITY[level as Level] ?? 0
    if (severity !== 0) record.uint(2, severity)
    const body = record.begin(5)
    if (typeof line === 'string') record.text(1, line)
    else record.bytes(1, line)
    record.end(body)
    record.raw(this.#encodeMetadata(metadata, level))
    return streamLevel
  }

  /** Attribute fields of the metadata with its level; kept while the same array comes again. */
  #encodeMetadata(metadata: Labels, level: string): Uint8Array {
    if (metadata !== this.#metadata) {
      this.#metadata = metadata
      this.#encodedMetadata.clear()
    }
    let encoded = this.#encodedMetadata.get(level)
    if (encoded === undefined) {
      const writer = new ProtoWriter(64)
      let placed = false
      for (let i = 0; i < metadata.length; i += 2) {
        if (!placed && metadata[i]! >= DETECTED_LEVEL) {
          writeTextAttribute(writer, 6, DETECTED_LEVEL, level)
          placed = true
        }
        if (metadata[i] !== DETECTED_LEVEL) writeTextAttribute(writer, 6, metadata[i]!, metadata[i + 1]!)
      }
      if (!placed) writeTextAttribute(writer, 6, DETECTED_LEVEL, level)
      encoded = writer.view()
      this.#encodedMetadata.set(level, encoded)
    }
    return encoded
  }

  #seal(partition: number, payload: OpenPayload): void {
    const writer = new ProtoWriter(payload.bytes)
    for (const stream of payload.streams.values()) {
      const resourceLogs = writer.begin(1)
      writer.bytes(1, stream.resource)
      const scopeLogs = writer.begin(2)
      const scope = writer.begin(1)
      writer.text(1, SCOPE_NAME)
      writer.end(scope)
      writer.raw(stream.records.view())
      writer.end(scopeLogs)
      writer.end(resourceLogs)
    }
    this.#open.delete(partition)
    this.#done.push({ partition, payload: writer.take(), items: payload.items })
  }
}

function encodeResource(labels: Labels): Uint8Array {
  const writer = new ProtoWriter(256)
  for (let i = 0; i < labels.length; i += 2) writeTextAttribute(writer, 1, labels[i]!, labels[i + 1]!)
  return writer.take()
}

/** The level a label or metadata entry states: its normal name, or its own text where that is no known level. */
function levelIn(labels: Labels): string | undefined {
  for (let i = 0; i < labels.length; i += 2) {
    const name = labels[i]!
    if (name.length <= 13 && LEVEL_NAMES.has(name.toLowerCase())) return normaliseLevel(labels[i + 1]!) ?? labels[i + 1]!
  }
  return undefined
}

function levelBySeverity(metadata: Labels): Level | undefined {
  const severity = labelValue(metadata, 'severity_number')
  return severity === '' ? undefined : levelOfSeverity(Number(severity))
}
