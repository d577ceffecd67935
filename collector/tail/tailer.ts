/**
 * A source of log files: finds them, follows each through rotation, paces the reading.
 *
 * Each round looks for files, then reads every open one that has something. A file that was renamed or deleted stays open until it is read to its
 * end and nothing came for a while. On start, files that were renamed while nobody looked are found by their inode among the neighbours. Where a
 * name has a new file, files that were begun and rotated away since the last look are looked for beside it (`rotated.ts`).
 */
import { globSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, matchesGlob } from 'node:path'
import type { Clock } from '../../lib/runtime/clock.ts'
import { messageOf, SightlineError } from '../../lib/runtime/errors.ts'
import { counter, type Log } from '../../lib/telemetry/index.ts'
import { identityKey } from './identity.ts'
import { rotatedUnread } from './rotated.ts'
import { TailedFile, type TailDeps } from './tailed-file.ts'

const lost = counter('sightline_tail_files_lost_total', 'Files that were gone before they were read to their end.', ['source'])
const errors = counter('sightline_tail_errors_total', 'Files that could not be opened or read; tried again.', ['source'])
const skippedFiles = counter('sightline_tail_files_skipped_total', 'Files not opened in a round because files_max are open.', ['source'])

/** Directories are looked through this often; known files are read every `poll_interval`. */
const DISCOVER_MS = 1000
/** A rotated or deleted file is closed after this long without a new byte. */
const DETACHED_IDLE_MS = 10_000
/** Files read at the same time: each waits for its own sync, so one at a time would be slow. */
const READERS = 8
/** Pause after a push-back where the journal doesn't say how long. */
const PUSH_BACK_MS = 500

export interface TailerDeps extends TailDeps {
  readonly log: Log
}

export interface TailStatus {
  readonly source: string
  readonly openFiles: number
  readonly lagBytes: number
}

export class Tailer {
  readonly #deps: TailerDeps
  readonly #files = new Map<string, TailedFile>()
  readonly #stop = new AbortController()
  #running: Promise<void> | undefined
  #discoveredMs = 0
  /** When this source was last looked at before now, by this process or one before; files written since are not from before we came. */
  #lookedMs: number
  #hasRecovered = false

  constructor(deps: TailerDeps) {
    this.#deps = deps
    const seen = deps.positions.all().flatMap(({ source, seenMs }) => (source === deps.config.name ? [seenMs] : []))
    this.#lookedMs = seen.length === 0 ? deps.clock.now() : seen.reduce((latest, one) => Math.max(latest, one), 0)
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Ends after the reads under way; positions are as durable as the lines. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    for (const file of this.#files.values()) file.close()
    this.#files.clear()
  }

  status(): TailStatus {
    const files = [...this.#files.values()]
    return { source: this.#deps.config.name, openFiles: files.length, lagBytes: files.reduce((sum, file) => sum + file.lagBytes, 0) }
  }

  async #run(): Promise<void> {
    const { clock, config } = this.#deps
    while (!this.#stop.signal.aborted) {
      const pauseMs = await this.round(clock)
      await clock.sleep(pauseMs ?? config.poll_interval, this.#stop.signal)
    }
  }

  /** One round; returns how long to wait where the journal pushed back. */
  async round(clock: Clock): Promise<number | undefined> {
    if (clock.now() - this.#discoveredMs >= DISCOVER_MS) {
      this.#discoveredMs = clock.now()
      if (!this.#hasRecovered) this.#recoverRotated()
      this.#hasRecovered = true
      this.#discover()
      this.#lookedMs = this.#discoveredMs
    }
    const waiting = [...this.#files.values()]
    let pauseMs: number | undefined
    const reader = async (): Promise<void> => {
      for (let file = waiting.pop(); file !== undefined && pauseMs === undefined; file = waiting.pop()) {
        pauseMs = (await this.#readAll(file)) ?? pauseMs
      }
    }
    await Promise.all(Array.from({ length: READERS }, reader))
    if (pauseMs === undefined) this.#closeFinished()
    return pauseMs
  }

  /** Reads a file until there is nothing more, or the time to wait where the journal pushed back. */
  async #readAll(file: TailedFile): Promise<number | undefined> {
    try {
      while (!this.#stop.signal.aborted && (await file.read()));
      return undefined
    } catch (error) {
      if (error instanceof SightlineError && error.retriable) return error.retryAfterMs ?? PUSH_BACK_MS
      errors.inc({ source: this.#deps.config.name })
      this.#deps.log.error({ path: file.path, error: messageOf(error) }, 'cannot read a log file; it is tried again')
      return undefined
    }
  }

  #discover(): void {
    const { include, exclude, files_max } = this.#deps.config
    for (const path of include.flatMap((pattern) => globSync(pattern))) {
      if (exclude.some((pattern) => matchesGlob(path, pattern))) continue
      if (this.#files.size >= files_max) {
        skippedFiles.inc({ source: this.#deps.config.name })
        continue
      }
      this.#open(path)
    }
  }

  #open(path: string): void {
    try {
      const stat = statSync(path)
      if (!stat.isFile() || this.#files.has(identityKey(stat))) return
      const file = new TailedFile(path, this.#deps)
      this.#files.set(identityKey(file), file)
      if (file.isNew) for (const missed of rotatedUnread(path, this.#deps.positions, this.#lookedMs)) this.#open(missed)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
      errors.inc({ source: this.#deps.config.name })
      this.#deps.log.error({ path, error: messageOf(error) }, 'cannot open a log file; it is tried again')
    }
  }

  /** Files that were read before and are no longer under their name: the rest of them lies in a neighbour. */
  #recoverRotated(): void {
    const { config, positions } = this.#deps
    for (const known of positions.all()) {
      if (known.source !== config.name) continue
      const path = findByInode(dirname(known.path), known.dev, known.ino)
      if (path === undefined) lost.inc({ source: config.name })
      else if (path !== known.path) this.#open(path)
    }
  }

  #closeFinished(): void {
    for (const [key, file] of this.#files) {
      if (!file.isDetached || file.lagBytes > 0 || file.idleMs < DETACHED_IDLE_MS) continue
      file.close()
      this.#files.delete(key)
    }
  }
}

function findByInode(dir: string, dev: number, ino: number): string | undefined {
  try {
    for (const name of readdirSync(dir)) {
      const path = join(dir, name)
      const stat = statSync(path)
      if (stat.dev === dev && stat.ino === ino) return path
    }
  } catch {
    // The folder, or a file in it, is gone: then so is what we look for.
  }
  return undefined
}
