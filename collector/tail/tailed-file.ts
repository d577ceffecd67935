/**
 * One open log file: reads from its position, appends whole lines with the position behind them, follows it through rotation until nothing
 * more can come.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import type { TailConfig } from '../../lib/config/index.ts'
import { EMPTY_LABELS, hasLabel, labelsOf, labelsWith, type Labels } from '../../lib/model/index.ts'
import { logsPartition, type Appender } from '../../lib/producer/index.ts'
import type { Clock } from '../../lib/runtime/clock.ts'
import { kindOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter } from '../../lib/telemetry/index.ts'
import { LogBatchBuilder, withServiceName } from '../../lib/wire/otlp/logs/index.ts'
import { detectFormat, type LineFormat } from './format.ts'
import { identify, isSame, type FileIdentity } from './identity.ts'
import { identityOf } from './path-labels.ts'
import type { Positions } from './positions.ts'
import { splitLines, type LogicalLine } from './split.ts'

const linesRead = counter('sightline_tail_lines_total', 'Log lines appended to the journal.', ['source'])
const bytesRead = counter('sightline_tail_bytes_total', 'Bytes of log files whose lines are in the journal.', ['source'])
const linesCut = counter('sightline_tail_lines_cut_total', 'Lines that were longer than line_size_max and lost their end.', ['source'])
const truncations = counter('sightline_tail_truncations_total', 'Files found shorter or begun anew, read again from their start.', [
  'source',
])
const pushedBack = counter('sightline_tail_push_backs_total', 'Appends the journal refused for now; the lines are read again.', [
  'source',
  'reason',
])

const CHUNK_BYTES = 256 * 1024
/** A record holds this many bytes of lines and their overhead at most: below the journal's limit with room for labels. */
const RECORD_BYTES = 700 * 1024
const LINE_OVERHEAD_BYTES = 200
/** An open join or a line without its end is waited for this long after the last byte came. */
const OPEN_WAIT_MS = 5000

export interface TailDeps {
  readonly config: TailConfig
  readonly externalLabels: Labels
  readonly appender: Appender
  readonly positions: Positions
  readonly clock: Clock
}

export class TailedFile {
  readonly path: string
  readonly dev: number
  readonly ino: number
  /** Nothing of it was read by this process or one before. */
  readonly isNew: boolean
  readonly #fd: number
  readonly #deps: TailDeps
  readonly #labels: Readonly<Record<LogicalLine['stream'], Labels>>
  readonly #metadata: Labels
  #identity: FileIdentity | undefined
  #format: LineFormat | undefined
  #offset = 0
  #lastGrowthMs: number
  #lastSize = -1
  #closed = false

  /** Errors: whatever `open` says. */
  constructor(path: string, deps: TailDeps) {
    this.path = path
    this.#deps = deps
    this.#fd = openSync(path, 'r')
    const { dev, ino } = fstatSync(this.#fd)
    this.dev = dev
    this.ino = ino
    this.#lastGrowthMs = deps.clock.now()
    const { labels, metadata } = identityOf(path)
    const base = labelsOf({ ...labels, ...deps.config.labels })
    const complete = withServiceName(withAbsent(base, deps.externalLabels))
    this.#labels = { '': complete, stdout: labelsWith(complete, 'stream', 'stdout'), stderr: labelsWith(complete, 'stream', 'stderr') }
    this.#metadata = Object.keys(metadata).length === 0 ? EMPTY_LABELS : labelsOf(metadata)
    const known = deps.positions.get(this)
    this.isNew = known === undefined || !isSame(this.#fd, known)
    if (known !== undefined && !this.isNew) {
      this.#identity = known
      this.#offset = known.offset
    }
  }

  /** Reads what is there now. Resolves with true where there is more to read at once. Errors: I/O errors; a push-back is no error but a pause. */
  async read(): Promise<boolean> {
    const { size } = fstatSync(this.#fd)
    if (size !== this.#lastSize) {
      this.#lastSize = size
      this.#lastGrowthMs = this.#deps.clock.now()
    }
    if (this.#hasBegunAnew(size)) {
      truncations.inc({ source: this.#deps.config.name })
      this.#offset = 0
      this.#identity = undefined
      this.#format = undefined
    }
    if (size <= this.#offset) return false
    return this.#readChunk(size, Math.max(CHUNK_BYTES, this.#deps.config.line_size_max + 1024))
  }

  #hasBegunAnew(size: number): boolean {
    if (this.#identity === undefined) return false
    return size < this.#offset || (size !== this.#offset && !isSame(this.#fd, this.#identity))
  }

  async #readChunk(size: number, chunkBytes: number): Promise<boolean> {
    const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, size - this.#offset))
    const got = chunk.subarray(0, readSync(this.#fd, chunk, 0, chunk.length, this.#offset))
    if (this.#format === undefined && !this.#detect(got)) return false
    const isIdle = this.#deps.clock.now() - this.#lastGrowthMs > OPEN_WAIT_MS && this.#offset + got.length >= size
    // A chunk full of one open line or join will not get better by waiting.
    const isStuck = got.length >= chunkBytes
    let split = splitLines(got, this.#format!, this.#deps.config.line_size_max, false)
    if (split.usedBytes === 0 && (isIdle || isStuck)) split = splitLines(got, this.#format!, this.#deps.config.line_size_max, true)
    if (split.usedBytes === 0) return false
    await this.#append(split.lines, split.usedBytes)
    return this.#offset < size
  }

  #detect(chunk: Buffer): boolean {
    const { format } = this.#deps.config
    if (format !== 'auto') this.#format = format
    else {
      const newline = chunk.indexOf(10)
      if (newline === -1 && chunk.length < CHUNK_BYTES && this.#deps.clock.now() - this.#lastGrowthMs <= OPEN_WAIT_MS) return false
      this.#format = detectFormat(chunk.subarray(0, newline === -1 ? chunk.length : newline))
    }
    return true
  }

  /** Appends the lines in records that each carry the position behind their last line. */
  async #append(lines: readonly LogicalLine[], usedBytes: number): Promise<void> {
    const { config, appender } = this.#deps
    const base = this.#offset
    // Lines on both streams go to one partition: `stream` doesn't count in its choice.
    const partition = logsPartition(config.tenant, this.#labels[''], appender.partitionCount('logs'))
    this.#identity = identify(this.#fd) ?? this.#identity
    let first = 0
    while (first < lines.length) {
      let last = first
      let bytes = 0
      const builder = new LogBatchBuilder({ partitionOf: () => partition })
      for (; last < lines.length && bytes < RECORD_BYTES - config.line_size_max; last++) bytes += this.#add(builder, lines[last]!)
      const end = last === lines.length ? base + usedBytes : base + lines[last - 1]!.endByte
      await this.#appendRecord(builder, last - first, end)
      first = last
    }
  }

  #add(builder: LogBatchBuilder, line: LogicalLine): number {
    const { config, clock } = this.#deps
    const timeMs = Number.isNaN(line.timeMs) ? clock.now() : line.timeMs
    if (line.cutBytes > 0) linesCut.inc({ source: config.name })
    builder.add(this.#labels[line.stream], timeMs, line.subNs, line.text, this.#metadata)
    return line.text.length + LINE_OVERHEAD_BYTES
  }

  async #appendRecord(builder: LogBatchBuilder, count: number, endOffset: number): Promise<void> {
    const { config, appender, positions, clock } = this.#deps
    const [batch, ...more] = builder.finish()
    if (batch === undefined || more.length > 0)
      throw new SightlineError('internal', `BUG: ${count} lines of ${this.path} made ${more.length + 1} records`)
    const position = { ...this.#identity!, source: config.name, path: this.path, offset: endOffset, seenMs: clock.now() }
    const record = { ...batch, encoding: 'otlp' as const, position: JSON.stringify(position) }
    await positions.track(
      appender.append('logs', config.tenant, [record]).then(
        () => positions.note(position),
        (error: unknown) => {
          pushedBack.inc({ source: config.name, reason: kindOf(error) })
          throw error
        },
      ),
    )
    linesRead.inc({ source: config.name }, count)
    bytesRead.inc({ source: config.name }, endOffset - this.#offset)
    this.#offset = endOffset
  }

  /** Bytes that are in the file and not yet in the journal. */
  get lagBytes(): number {
    return this.#closed ? 0 : Math.max(0, fstatSync(this.#fd).size - this.#offset)
  }

  /** True where the path now names another file, or none: this one was rotated or deleted. */
  get isDetached(): boolean {
    try {
      const { dev, ino } = statSync(this.path)
      return dev !== this.dev || ino !== this.ino
    } catch {
      return true
    }
  }

  /** How long nothing was written, milliseconds. */
  get idleMs(): number {
    return this.#deps.clock.now() - this.#lastGrowthMs
  }

  close(): void {
    this.#closed = true
    closeSync(this.#fd)
  }
}

function withAbsent(labels: Labels, more: Labels): Labels {
  let out = labels
  for (let i = 0; i < more.length; i += 2) if (!hasLabel(out, more[i]!)) out = labelsWith(out, more[i]!, more[i + 1]!)
  return out
}
